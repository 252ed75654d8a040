"""What the DAG files call: the engine's steps with Airflow's context around them."""
