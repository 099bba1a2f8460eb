"""What data can be, a kind a file; `open.py` is the one place that asks which."""
