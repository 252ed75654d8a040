-- Rows of consumers that, as is known now, had no part in a snapshot: what was
-- reported is kept, the row goes. The unique index is walked consumer by
-- consumer; no index begins with the instant.
with recursive {owners},

-- Only instants that were written before and are rendered now.
there as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    union all
    select snapshot_timestamp
    from consumer_analytics_internal.written_snapshots
    where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
        and not is_whole
),

strangers as materialized (
    select old.*
    from there
    cross join owners
    join public.consumer_analytics as old
        on old.consumer_id = owners.consumer_id and old.snapshot_timestamp = there.snapshot_timestamp
    where not exists (
        select from rendered_snapshots as new
        where new.consumer_id = old.consumer_id and new.snapshot_timestamp = old.snapshot_timestamp
    )
),

-- At once for all: looked up for each while this statement adds to that table, it takes ever longer.
earlier as materialized (
    select one.analytics_id, max(one.reported_until) as reported_until
    from strangers
    join public.consumer_analytics_revisions as one using (analytics_id)
    group by one.analytics_id
),

reported as (
    select strangers.*, earlier.reported_until
    from strangers
    left join earlier using (analytics_id)
),

kept as (
    {keep_reported}
    from reported as old
    returning snapshot_timestamp, {revision_digest} as digest
),

noted as (
    update consumer_analytics_internal.written_snapshots as written
    set digest = written.digest - gone.digest,
        revisions = written.revisions + gone.revisions,
        revisions_digest = written.revisions_digest + gone.revisions_digest
    from (
        select
            snapshot_timestamp,
            sum(digest) as digest,
            sum(revisions) as revisions,
            sum(revisions_digest) as revisions_digest
        from (
            select snapshot_timestamp, {figures_digest} as digest, 1 as revisions, 0 as revisions_digest
            from strangers
            union all
            select snapshot_timestamp, 0, 0, digest
            from kept
        ) as parts
        group by snapshot_timestamp
    ) as gone
    where written.snapshot_timestamp = gone.snapshot_timestamp
),

noted_apart as (
    update consumer_analytics_internal.written_apart as written
    set consumers = array(
        select consumer_id
        from unnest(written.consumers) as one (consumer_id)
        where not exists (
            select from strangers
            where strangers.snapshot_timestamp = written.snapshot_timestamp
                and strangers.consumer_id = one.consumer_id
        )
    )
    where exists (
        select from strangers
        where strangers.snapshot_timestamp = written.snapshot_timestamp
            and strangers.consumer_id = any(written.consumers)
    )
        -- Where no whole snapshot is, it stays known of whom it was asked: others may wait for that.
        and exists (
            select from consumer_analytics_internal.written_snapshots as whole
            where whole.snapshot_timestamp = written.snapshot_timestamp and whole.is_whole
        )
)

delete from public.consumer_analytics
where analytics_id in (select analytics_id from strangers)
