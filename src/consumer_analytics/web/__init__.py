"""The dashboard and its HTTP API; Airflow mounts it, `consumer-analytics serve` runs it alone."""
