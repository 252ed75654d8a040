"""Histories of every kind that real systems have, each step compared with the oracle."""
