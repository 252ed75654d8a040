"""The whole system on one machine: embedded PostgreSQL, Airflow, supervision."""
