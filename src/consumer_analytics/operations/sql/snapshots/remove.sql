-- Remove the snapshots of some instants, or of chosen consumers what stands alone there. What the
-- rows said is kept; nothing is noted as written, thinned or owed there any more. Answers of each
-- instant how many rows it had, and whether it was owed.
with recursive {owners},

asked as materialized (
    select at
    from unnest(%(instants)s::timestamptz[]) as given (at)
    -- A whole snapshot may have been written since somebody looked: it is not to have a hole.
    where %(consumers)s::uuid[] is null or not exists (
        select from consumer_analytics_internal.written_snapshots as written
        where written.is_whole and written.snapshot_timestamp = at
    )
),

meant as materialized (
    select own.analytics_id
    from asked
    cross join owners
    join public.consumer_analytics as own
        on own.consumer_id = owners.consumer_id and own.snapshot_timestamp = asked.at
    where %(consumers)s::uuid[] is null or own.consumer_id = any(%(consumers)s::uuid[])
    union all
    select whole.analytics_id
    from asked
    join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = asked.at
),

gone as (
    delete from public.consumer_analytics as snapshot
    using meant
    where snapshot.analytics_id = meant.analytics_id
    returning snapshot.*
),

-- At once for all: looked up for each while this statement adds to that table, it takes ever longer.
earlier as materialized (
    select analytics_id, max(reported_until) as reported_until
    from public.consumer_analytics_revisions
    where analytics_id in (select analytics_id from meant)
    group by analytics_id
),

kept as (
    insert into public.consumer_analytics_revisions
        (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
    select
        analytics_id,
        gone.consumer_id,
        gone.snapshot_timestamp,
        gone.metrics_json,
        coalesce(earlier.reported_until, gone.created_at),
        %(reason)s
    from gone
    left join earlier using (analytics_id)
    returning snapshot_timestamp, {revision_digest} as digest
),

sums as materialized (
    select
        at,
        coalesce(said.n, 0) as n,
        coalesce(said.digest, 0) as digest,
        coalesce(revisions.digest, 0) as revisions_digest
    from asked
    left join (
        select snapshot_timestamp as at, count(*) as n, sum({figures_digest}) as digest
        from gone
        group by snapshot_timestamp
    ) as said using (at)
    left join (
        select snapshot_timestamp as at, sum(digest) as digest
        from kept
        group by snapshot_timestamp
    ) as revisions using (at)
),

unwritten as (
    update consumer_analytics_internal.written_snapshots as written
    set is_whole = false,
        window_start = null,
        snapshot_source = null,
        digest = case when %(consumers)s::uuid[] is null then 0 else written.digest - sums.digest end,
        revisions = written.revisions + sums.n,
        revisions_digest = written.revisions_digest + sums.revisions_digest
    from sums
    where written.snapshot_timestamp = sums.at
),

-- Rows that nobody has written: that they are kept is noted all the same.
noted_first as (
    insert into consumer_analytics_internal.written_snapshots
        (snapshot_timestamp, is_whole, revisions, revisions_digest)
    select at, false, n, revisions_digest
    from sums
    where n > 0
        and not exists (
            select from consumer_analytics_internal.written_snapshots as written
            where written.snapshot_timestamp = sums.at
        )
),

left_apart as (
    update consumer_analytics_internal.written_apart as apart
    set consumers = array(
        select consumer_id
        from unnest(apart.consumers) as one (consumer_id)
        where one.consumer_id <> all(%(consumers)s::uuid[])
    )
    from asked
    where apart.snapshot_timestamp = asked.at
        and apart.consumers && %(consumers)s::uuid[]
        and not apart.consumers <@ %(consumers)s::uuid[]
),

forgotten_apart as (
    delete from consumer_analytics_internal.written_apart as apart
    using asked
    where apart.snapshot_timestamp = asked.at
        and (%(consumers)s::uuid[] is null or apart.consumers <@ %(consumers)s::uuid[])
),

forgotten_thinned as (
    delete from consumer_analytics_internal.thinned_snapshots as thinned
    using asked
    where %(consumers)s::uuid[] is null and thinned.snapshot_timestamp = asked.at
),

forgiven as (
    delete from consumer_analytics_internal.owed_snapshots as owed
    using asked
    where %(consumers)s::uuid[] is null and owed.snapshot_timestamp = asked.at
    returning owed.snapshot_timestamp as at
)

select sums.at, sums.n, forgiven.at is not null as was_owed
from sums
left join forgiven using (at)
order by sums.at
