-- Rows that no shard has any more: what was reported is kept, the row goes.
with strangers as materialized (
    select old.*
    from pg_temp.shard_pairs as asked
    join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
    where not exists (
        select from pg_temp.shard_rows as new
        where new.consumer_id = asked.consumer_id and new.snapshot_timestamp = asked.snapshot_timestamp
    )
),

kept as (
    {keep_reported}
    from (
        select strangers.*, earlier.reported_until
        from strangers
        left join (
            select one.analytics_id, max(one.reported_until) as reported_until
            from strangers
            join public.consumer_analytics_revisions as one using (analytics_id)
            group by one.analytics_id
        ) as earlier
            using (analytics_id)
    ) as old
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
)

delete from public.consumer_analytics
where analytics_id in (select analytics_id from strangers)
