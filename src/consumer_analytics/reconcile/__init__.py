"""Figures held against the source again: the sweep repairs, the audit proves."""
