-- Keeps what was reported by rows that go or change, named `old`, as revisions. `reported_until` is
-- until when the latest one of before was.
insert into public.consumer_analytics_revisions
    (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
select
    old.analytics_id,
    old.consumer_id,
    old.snapshot_timestamp,
    old.metrics_json,
    coalesce(old.reported_until, old.created_at),
    %(reason)s
