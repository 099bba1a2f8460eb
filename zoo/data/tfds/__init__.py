"""The data sets known by name."""
