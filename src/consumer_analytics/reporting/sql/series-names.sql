-- The statuses and event types of a range's snapshots, the most frequent at any of them first.
select named.kind, named.name
from public.consumer_analytics as snapshot
cross join lateral (
    select 'status' as kind, key as name, value as n
    from jsonb_each_text(
        coalesce(
            snapshot.metrics_json -> 'customers_by_status',
            snapshot.metrics_json -> 'customers_by_status_all_consumers',
            '{{}}'
        )
    )
    union all
    select 'type' as kind, key as name, value as n
    from jsonb_each_text(
        coalesce(
            snapshot.metrics_json -> 'events_by_type',
            snapshot.metrics_json -> 'events_by_type_all_consumers',
            '{{}}'
        )
    )
) as named
where {whose} and snapshot.snapshot_timestamp between %(since)s and %(until)s
group by named.kind, named.name
order by max(named.n::numeric) desc, named.name
