"""The engine: everything that reads the sources and writes the figures.

It knows PostgreSQL and nothing else: neither Airflow, nor the web, nor the
command line is imported from here (import-linter holds us to it).
"""
