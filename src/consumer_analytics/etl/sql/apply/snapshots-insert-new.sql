-- Insert the snapshots of instants at which there are none, in the order of the unique index,
-- and tell how many there were to insert. A consumer's row can be there all the same: one that
-- was backfilled by itself.
with rendered as materialized (
    {rendered}
),

inserted as (
    insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
    select consumer_id, snapshot_timestamp, metrics_json
    from rendered
    order by consumer_id, snapshot_timestamp
    on conflict do nothing
    returning 1
)

select
    (select count(*) from rendered) as rows,
    (select count(*) from inserted) as inserted,
    ({unknown_consumers}) as unknown_consumers
