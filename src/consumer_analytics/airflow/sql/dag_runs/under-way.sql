-- Whether a DAG run is there and has not ended.
select exists (
    select
    from {dag_run}
    where dag_id = %s and run_id = %s and state in ('running', 'queued')
)
