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
)

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
