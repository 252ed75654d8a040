"""Rows for the source tables: imported from files, or simulated."""
