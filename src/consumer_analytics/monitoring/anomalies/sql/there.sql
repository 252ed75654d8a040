-- Whether the system has a snapshot of an instant.
select exists (
    select
    from public.consumer_analytics
    where consumer_id is null and snapshot_timestamp = %(at)s
)
