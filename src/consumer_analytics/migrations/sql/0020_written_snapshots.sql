-- What was written: every instant at which there is a snapshot, from the moment it is written
-- until maintenance thins it. Whatever writes, restates, withdraws or thins rows keeps this in the
-- same statement; an edit by hand does not, which is how an audit tells one from the other.
create table consumer_analytics_internal.written_snapshots (
    snapshot_timestamp timestamptz primary key,
    -- All consumers and the whole system; false where chosen consumers were backfilled alone.
    is_whole boolean not null,
    -- Of the whole system's row, and of all rows that `written_apart` does not name.
    window_start timestamptz,
    snapshot_source text,
    -- The sum of a hash of each row's figures of customers and of its window: what a source that
    -- was purged cannot tell any more is held to it.
    digest numeric not null default 0,
    -- How many revisions the rows of this instant have, and the sum of a hash of each.
    revisions bigint not null default 0,
    revisions_digest numeric not null default 0,
    check (not is_whole or (window_start is not null and snapshot_source is not null))
);

-- Rows that have another window or provenance than the whole system's row of their instant, or
-- stand without one: those of consumers that were backfilled by themselves.
create table consumer_analytics_internal.written_apart (
    snapshot_timestamp timestamptz not null,
    window_start timestamptz not null,
    snapshot_source text not null,
    consumers uuid[] not null,
    primary key (snapshot_timestamp, window_start, snapshot_source)
);

-- What earlier versions wrote is taken as it stands.
create function pg_temp.instant_or_null(text) returns timestamptz language plpgsql as $$
begin
    return $1::timestamptz;
exception when others then
    return null;
end
$$;

create temporary table told on commit drop as
select
    consumer_id,
    snapshot_timestamp,
    metrics_json #>> '{incremental_stats,window_start}' as window_start,
    metrics_json ->> 'snapshot_source' as snapshot_source,
    jsonb_hash_extended(
        coalesce(metrics_json -> 'incremental_stats', 'null'),
        jsonb_hash_extended(
            coalesce(metrics_json -> 'avg_customer_lifetime_days', 'null'),
            jsonb_hash_extended(
                coalesce(
                    metrics_json -> 'customers_by_status', metrics_json -> 'unattributed_customers', 'null'
                ),
                coalesce(uuid_hash_extended(consumer_id, 0), 1)
            )
        )
    ) as digest
from public.consumer_analytics;

create temporary table told_windows on commit drop as
select window_start, pg_temp.instant_or_null(window_start) as starts
from told
group by window_start;

insert into consumer_analytics_internal.written_snapshots
    (snapshot_timestamp, is_whole, window_start, snapshot_source, digest)
select
    snapshot_timestamp,
    is_whole,
    case
        when is_whole then coalesce(
            starts, lag(snapshot_timestamp) over (order by snapshot_timestamp), timestamptz 'epoch'
        )
    end,
    case when is_whole then coalesce(snapshot_source, 'cli_etl') end,
    digest
from (
    select
        snapshot_timestamp,
        bool_or(consumer_id is null or coalesce(snapshot_source, '') not like '%\_backfill') as is_whole,
        max(told_windows.starts) filter (where consumer_id is null) as starts,
        max(snapshot_source) filter (where consumer_id is null) as snapshot_source,
        sum(digest) as digest
    from told
    left join told_windows using (window_start)
    group by snapshot_timestamp
) as instants;

insert into consumer_analytics_internal.written_apart
    (snapshot_timestamp, window_start, snapshot_source, consumers)
select snapshot_timestamp, starts, told.snapshot_source, array_agg(consumer_id)
from told
join told_windows using (window_start)
join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where consumer_id is not null
    and starts is not null
    and told.snapshot_source is not null
    and (starts, told.snapshot_source) is distinct from (written.window_start, written.snapshot_source)
group by snapshot_timestamp, starts, told.snapshot_source;

-- What a run that is still on record wrote, and that is gone: to be missed as before.
insert into consumer_analytics_internal.written_snapshots
    (snapshot_timestamp, is_whole, window_start, snapshot_source)
select distinct on (reached_at)
    reached_at,
    true,
    coalesce(pg_temp.instant_or_null(summary ->> 'window_start'), timestamptz 'epoch'),
    snapshot_source
from consumer_analytics_internal.runs
where state = 'success'
    and summary ->> 'window_end' is not null
    and reached_at >= (select min(snapshot_timestamp) from public.consumer_analytics)
    and reached_at not in (
        select snapshot_timestamp from consumer_analytics_internal.thinned_snapshots
    )
order by reached_at, run_id
on conflict do nothing;

insert into consumer_analytics_internal.written_snapshots as written
    (snapshot_timestamp, is_whole, revisions, revisions_digest)
select
    snapshot_timestamp,
    false,
    count(*),
    sum(
        hash_record_extended(
            (
                analytics_id, consumer_id, snapshot_timestamp, metrics_json::text, reported_from,
                reported_until, reason
            ),
            0
        )
    )
from public.consumer_analytics_revisions
group by snapshot_timestamp
on conflict (snapshot_timestamp) do update
set revisions = excluded.revisions, revisions_digest = excluded.revisions_digest;

drop function pg_temp.instant_or_null(text);
