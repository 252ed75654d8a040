-- Rows that nobody has written: what they said is kept, they go.
with strangers as materialized (
    select snapshot.*
    from public.consumer_analytics as snapshot
    left join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
    where (
        snapshot.snapshot_timestamp = any(%(instants)s::timestamptz[])
        -- What lies beyond the calendar is named by its ends.
        or (
            '-infinity' = any(%(instants)s::timestamptz[])
            and snapshot.snapshot_timestamp < '0001-01-01 00:00:00+00'
        )
        or (
            'infinity' = any(%(instants)s::timestamptz[])
            and snapshot.snapshot_timestamp > '9999-12-31 23:59:59.999999+00'
        )
    )
        and written.is_whole is distinct from true
        and not exists (
            select
            from consumer_analytics_internal.written_apart as apart
            where apart.snapshot_timestamp = snapshot.snapshot_timestamp
                and snapshot.consumer_id = any(apart.consumers)
        )
),

kept as (
    insert into public.consumer_analytics_revisions
        (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
    select analytics_id, consumer_id, snapshot_timestamp, metrics_json, created_at, %(reason)s
    from strangers
    returning
        snapshot_timestamp,
        hash_record_extended(
            (
                analytics_id, consumer_id, snapshot_timestamp, metrics_json::text, reported_from,
                reported_until, reason
            ),
            0
        ) as digest
),

noted as (
    insert into consumer_analytics_internal.written_snapshots as written
        (snapshot_timestamp, is_whole, revisions, revisions_digest)
    select snapshot_timestamp, false, count(*), sum(digest)
    from kept
    group by snapshot_timestamp
    on conflict (snapshot_timestamp) do update
    set revisions = written.revisions + excluded.revisions,
        revisions_digest = written.revisions_digest + excluded.revisions_digest
)

delete from public.consumer_analytics
where analytics_id in (select analytics_id from strangers)
