-- The statuses and event types of a range's snapshots, the most frequent at any of them first.
select named.kind, named.name
from public.consumer_analytics as snapshot
cross join lateral (
    select 'status' as kind, key as name, value as n
    from jsonb_each(
        jsonb_path_query_first(
            coalesce(
                snapshot.metrics_json -> 'customers_by_status',
                snapshot.metrics_json -> 'customers_by_status_all_consumers'
            ),
            {an_object}
        )
    )
    union all
    select 'type' as kind, key as name, value as n
    from jsonb_each(
        jsonb_path_query_first(
            coalesce(
                snapshot.metrics_json -> 'events_by_type',
                snapshot.metrics_json -> 'events_by_type_all_consumers'
            ),
            {an_object}
        )
    )
) as named
where {whose} and snapshot.snapshot_timestamp between %(since)s and %(until)s
group by named.kind, named.name
order by max(jsonb_path_query_first(named.n, {a_number})::numeric) desc nulls last, named.name
