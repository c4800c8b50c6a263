"""Neural networks that the tasks of this repository train."""
