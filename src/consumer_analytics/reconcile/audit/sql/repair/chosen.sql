-- Whose rows an instant has, of consumers that were backfilled by themselves.
select array(
    select distinct consumer_id
    from consumer_analytics_internal.written_apart
    cross join unnest(consumers) as consumer_id
    where snapshot_timestamp = %(at)s::timestamptz
)
