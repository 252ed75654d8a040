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

kept as (
    {keep_reported}
    from strangers as old
)

delete from public.consumer_analytics
where analytics_id in (select analytics_id from strangers)
