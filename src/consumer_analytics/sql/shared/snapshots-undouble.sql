-- Of rows for the same consumer and instant the earliest stays; what the others
-- said is kept among the revisions. `not distinct`: the whole system has no consumer.
with numbered as (
    select
        analytics_id,
        min(analytics_id) over same as stays
    from public.consumer_analytics
    window same as (partition by consumer_id, snapshot_timestamp)
),

removed as (
    delete from public.consumer_analytics as snapshot
    using numbered
    where numbered.analytics_id = snapshot.analytics_id and numbered.analytics_id <> numbered.stays
    returning snapshot.*, numbered.stays
),

kept as (
    insert into public.consumer_analytics_revisions
        (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
    select
        analytics_id,
        consumer_id,
        snapshot_timestamp,
        metrics_json,
        created_at,
        %(reason)s || ': doubled ' || stays
    from removed
    returning snapshot_timestamp, {revision_digest} as digest
),

-- Only one row of each was ever written: what they said is in no digest.
noted as (
    update consumer_analytics_internal.written_snapshots as written
    set revisions = written.revisions + gone.revisions,
        revisions_digest = written.revisions_digest + gone.digest
    from (
        select snapshot_timestamp, count(*) as revisions, sum(digest) as digest
        from kept
        group by snapshot_timestamp
    ) as gone
    where written.snapshot_timestamp = gone.snapshot_timestamp
)

select count(*)
from kept
