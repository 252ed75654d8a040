-- Instants that have a snapshot, had one, or are to get one, the latest first, and how many there
-- are. The rows of those that are listed are looked up consumer by consumer: no index begins with
-- the instant. Where consumers are chosen, their rows alone count.
with recursive {owners},

written as (
    select
        snapshot_timestamp as at,
        is_whole,
        window_start,
        snapshot_source,
        revisions,
        digest
    from consumer_analytics_internal.written_snapshots
),

-- Chosen consumers' rows, where they stand alone.
alone as (
    select
        snapshot_timestamp as at,
        case when min(window_start) = max(window_start) then min(window_start) end as window_start,
        min(snapshot_source) as snapshot_source
    from consumer_analytics_internal.written_apart
    where consumers <> '{{}}' and (%(consumers)s::uuid[] is null or consumers && %(consumers)s::uuid[])
    group by snapshot_timestamp
),

known as (
    select at
    from written
    union
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null
    union
    select snapshot_timestamp
    from consumer_analytics_internal.thinned_snapshots
    union
    select snapshot_timestamp
    from consumer_analytics_internal.owed_snapshots
),

listed as materialized (
    select
        known.at,
        case when written.is_whole then written.window_start else alone.window_start end as window_start,
        coalesce(
            case when written.is_whole then written.snapshot_source else alone.snapshot_source end,
            owed.snapshot_source
        ) as snapshot_source,
        coalesce(written.is_whole, false) as is_whole,
        -- A shard notes for whom it was asked, also where there is nothing to write.
        not written.is_whole and written.digest = 0 as is_empty,
        written.is_whole and %(consumers)s::uuid[] is null or alone.at is not null as is_noted,
        owed.snapshot_timestamp is not null as is_owed,
        thinned.snapshot_timestamp is not null as is_thinned,
        coalesce(written.revisions, 0) as revisions,
        count(*) over () as of_all
    from known
    left join written on written.at = known.at
    left join alone on alone.at = known.at
    left join consumer_analytics_internal.owed_snapshots as owed on owed.snapshot_timestamp = known.at
    left join consumer_analytics_internal.thinned_snapshots as thinned on thinned.snapshot_timestamp = known.at
    where known.at >= %(lower)s::timestamptz
        and known.at <= %(upper)s::timestamptz
        and (%(instants)s::timestamptz[] is null or known.at = any(%(instants)s::timestamptz[]))
        and (
            %(source)s::text is null
            or coalesce(
                case when written.is_whole then written.snapshot_source else alone.snapshot_source end,
                owed.snapshot_source
            ) like '%%\_' || %(source)s::text
        )
    order by known.at desc
    limit %(limit)s
),

counted as (
    select at, count(*) filter (where is_meant) as n, bool_or(is_global) as has_global
    from (
        select listed.at, true as is_meant, false as is_global
        from listed
        cross join owners
        join public.consumer_analytics as own
            on own.consumer_id = owners.consumer_id and own.snapshot_timestamp = listed.at
        where %(consumers)s::uuid[] is null or own.consumer_id = any(%(consumers)s::uuid[])
        union all
        select listed.at, %(consumers)s::uuid[] is null, true
        from listed
        join public.consumer_analytics as whole
            on whole.consumer_id is null and whole.snapshot_timestamp = listed.at
    ) as rows
    group by at
)

select
    at,
    window_start,
    snapshot_source,
    case
        when has_global or is_whole and counted.n > 0 then 'whole'
        when counted.n > 0 or (is_noted and is_empty) then 'chosen'
        when is_noted then 'lost'
        when is_owed then 'owed'
        when is_thinned then 'thinned'
        else 'removed'
    end as state,
    coalesce(counted.n, 0) as n,
    revisions,
    is_owed,
    of_all
from listed
left join counted using (at)
order by at desc
