"""Figures and reports, drawn from stored tables only."""
