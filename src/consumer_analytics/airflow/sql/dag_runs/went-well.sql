-- Whether a run of a DAG has ended well after an instant.
select exists (
    select
    from {dag_run}
    where dag_id = %s and state = 'success' and end_date > %s::timestamptz
)
