-- Of rows for the same consumer and instant the earliest stays.
delete from public.consumer_analytics
where analytics_id in (
    select analytics_id
    from (
        select
            analytics_id,
            row_number() over (partition by consumer_id, snapshot_timestamp order by analytics_id) as place
        from public.consumer_analytics
    ) as numbered
    where place > 1
)
