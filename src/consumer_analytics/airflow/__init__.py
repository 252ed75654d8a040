"""Airflow from outside: its tables, its command, its API, and what they print.

Whatever changes with the next Airflow and is no DAG task is here.
"""
