-- Whether a run of ours has a session open now.
select exists (
    select
    from pg_stat_activity
    where datname = current_database()
        and pid <> pg_backend_pid()
        and (
            application_name in ('consumer-analytics run', 'consumer-analytics up')
            or application_name like 'consumer-analytics airflow extract\_%%'
            or application_name like 'consumer-analytics airflow load\_%%'
        )
)
