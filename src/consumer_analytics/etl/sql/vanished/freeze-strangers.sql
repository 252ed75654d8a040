-- One that was not reported, and of which nothing but customers spoke, has none.
with recursive {frozen},

{life_owners}

delete from rendered_snapshots as new
using frozen
where frozen.consumer_id = new.consumer_id
    and new.snapshot_timestamp < frozen.until
    and new.metrics_json -> 'total_customers' = '0'
    and new.metrics_json -> 'total_events' = '0'
    and not exists (
        select
        from {consumers} as registered
        where registered.consumer_id = new.consumer_id and registered.created_at < new.snapshot_timestamp
    )
    and not exists (
        select
        from life_owners
        where life_owners.consumer_id = new.consumer_id and life_owners.since < new.snapshot_timestamp
    )
