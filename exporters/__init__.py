"""Exporters: one per format, and the source models they start from."""
