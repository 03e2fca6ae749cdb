"""Calibration pictures, sampling and range finding."""
