-- Instants whose figures of customers are taken from the rows themselves, and are not those that
-- were written: neither as the rows stand, nor with all that can be counted put right.
with held as materialized (
    select distinct at
    from audit_figures
    where is_held
),

rows as (
    select consumer_id, snapshot_timestamp as at, metrics_json, true as is_kept
    from public.consumer_analytics
    where snapshot_timestamp in (select at from held)
    union all
    select consumer_id, at, figures, false
    from audit_figures
    where at in (select at from held) and figures is not null
),

sums as (
    select
        at,
        coalesce(sum(digest) filter (where is_kept), 0) as kept,
        coalesce(sum(digest) filter (where not is_kept), 0) as true_now
    from (
        select
            at,
            is_kept,
            {trusted_digest} as digest
        from rows
    ) as hashed
    group by at
)

select sums.at
from sums
left join consumer_analytics_internal.written_snapshots as written on written.snapshot_timestamp = sums.at
where coalesce(written.digest, 0) <> sums.kept and coalesce(written.digest, 0) <> sums.true_now
order by sums.at
