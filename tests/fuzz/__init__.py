"""What comes from elsewhere, damaged on purpose: ``python -m fuzz`` from ``tests``, or pytest.

A target makes inputs from a seed and gives them to what reads them. Each target works in a process
of its own (``worker``), which the harness (``campaign``) watches: an input must end in an answer or
an ``EdgeferryError``, within bounds of time and memory, and write nothing elsewhere.
"""
