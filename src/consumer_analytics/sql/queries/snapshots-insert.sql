-- Snapshots that are not there yet, in the order of the unique index.
insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
select consumer_id, snapshot_timestamp, metrics_json
from rendered_snapshots as new
where not exists (
    select from public.consumer_analytics as old
    where old.consumer_id = new.consumer_id and old.snapshot_timestamp = new.snapshot_timestamp
)
and (
    new.consumer_id is not null
    or not exists (
        select from public.consumer_analytics as old
        where old.consumer_id is null and old.snapshot_timestamp = new.snapshot_timestamp
    )
)
order by consumer_id, snapshot_timestamp
on conflict do nothing
