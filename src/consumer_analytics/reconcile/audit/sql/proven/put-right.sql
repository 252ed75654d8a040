-- Rows of instants with figures that only a digest tells, where it bears out what was put
-- together for them: they say that again, and what they said is kept.
with sums as materialized (
    select
        at,
        sum(
            {trusted_digest}
        ) as digest
    from (
        select consumer_id, at, figures as metrics_json
        from audit_figures
        where figures is not null
    ) as documents
    group by at
),

proven as materialized (
    select sums.at
    from sums
    join consumer_analytics_internal.written_snapshots as written on written.snapshot_timestamp = sums.at
    where written.digest = sums.digest
        and sums.at in (select at from audit_figures where is_held)
),

changed as materialized (
    select old.*, figures.figures
    from audit_figures as figures
    join public.consumer_analytics as old
        on old.snapshot_timestamp = figures.at and old.consumer_id is not distinct from figures.consumer_id
    where figures.at in (select at from proven) and old.metrics_json <> figures.figures
),

kept as (
    insert into public.consumer_analytics_revisions
        (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
    select
        analytics_id,
        consumer_id,
        snapshot_timestamp,
        metrics_json,
        coalesce(
            (
                select max(earlier.reported_until)
                from public.consumer_analytics_revisions as earlier
                where earlier.analytics_id = changed.analytics_id
            ),
            created_at
        ),
        %(reason)s
    from changed
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
    update consumer_analytics_internal.written_snapshots as written
    set revisions = written.revisions + new.n, revisions_digest = written.revisions_digest + new.digest
    from (
        select snapshot_timestamp, count(*) as n, sum(digest) as digest
        from kept
        group by snapshot_timestamp
    ) as new
    where written.snapshot_timestamp = new.snapshot_timestamp
)

update public.consumer_analytics as snapshot
set metrics_json = changed.figures
from changed
where changed.analytics_id = snapshot.analytics_id
