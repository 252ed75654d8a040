-- Keeps what was reported by rows that go or change, named `old`, as revisions.
insert into public.consumer_analytics_revisions
    (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
select
    old.analytics_id,
    old.consumer_id,
    old.snapshot_timestamp,
    old.metrics_json,
    coalesce(
        (
            select max(earlier.reported_until)
            from public.consumer_analytics_revisions as earlier
            where earlier.analytics_id = old.analytics_id
        ),
        old.created_at
    ),
    %(reason)s
