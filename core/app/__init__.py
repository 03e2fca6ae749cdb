"""The roof: command line, export plan, evaluation, benchmark and reports."""
