"""Measuring on the machine where an artifact will run."""
