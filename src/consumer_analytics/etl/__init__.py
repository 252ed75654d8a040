"""The ETL: what a run reads, counts and writes, set-based, in one transaction."""
