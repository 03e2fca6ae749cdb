"""What edgeferry does not bring: an engine, a format and a way to reach devices."""
