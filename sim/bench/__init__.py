"""Measurements of speed and memory: `speed` against other packages, `scaling` against the size of a world."""
