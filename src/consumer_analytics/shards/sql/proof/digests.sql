-- Instants whose rows, or revisions, are not those that were noted as they were written.
with rows as (
    select
        snapshot_timestamp,
        sum({figures_digest}) as digest
    from public.consumer_analytics
    where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    group by snapshot_timestamp
),

kept as (
    select
        snapshot_timestamp,
        count(*) as n,
        sum({revision_digest}) as digest
    from public.consumer_analytics_revisions
    where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    group by snapshot_timestamp
)

select written.snapshot_timestamp, 'customers' as figure, null::bigint as kept, null::bigint as due
from consumer_analytics_internal.written_snapshots as written
left join rows using (snapshot_timestamp)
where written.snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    and written.digest <> coalesce(rows.digest, 0)
union all
select written.snapshot_timestamp, 'revisions', coalesce(kept.n, 0), written.revisions
from consumer_analytics_internal.written_snapshots as written
left join kept using (snapshot_timestamp)
where written.snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    and (written.revisions, written.revisions_digest)
    is distinct from (coalesce(kept.n, 0), coalesce(kept.digest, 0))
order by snapshot_timestamp, figure
