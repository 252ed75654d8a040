-- Whether each of these rows can say who there was, all else as it is.
select
    not exists (select from pg_temp.unlike_customers where is_sure is not true)
    and not exists (
        select from consumer_analytics_internal.written_apart
        where snapshot_timestamp = any(%(wrong)s::timestamptz[]) and consumers <> '{{}}'
    )
