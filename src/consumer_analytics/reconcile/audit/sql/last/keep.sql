-- What the next audit goes on from.
with audits as (
    insert into consumer_analytics_internal.clean_audits (audited_at, processed_through, capture, vanished)
    values (clock_timestamp(), %(processed_through)s::timestamptz, %(capture)s, %(vanished)s)
)

insert into consumer_analytics_internal.audited_snapshots (snapshot_timestamp, digest)
select at, digest
from unnest(%(instants)s::timestamptz[], %(digests)s::numeric[]) as of_rows (at, digest)
