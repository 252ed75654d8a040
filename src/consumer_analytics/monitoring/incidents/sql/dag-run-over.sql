-- Whether a run that was late has ended or is gone; or whether, after a failure, the
-- run was mended or a later one of its DAG went well.
select case
    when %(late)s then not exists (
        select
        from {dag_run}
        where dag_id = %(dag)s and run_id = %(run)s and state in ('running', 'queued')
    )
    else exists (
        select
        from {dag_run}
        where dag_id = %(dag)s
            and state = 'success'
            and end_date > %(since)s::timestamptz
    )
end
