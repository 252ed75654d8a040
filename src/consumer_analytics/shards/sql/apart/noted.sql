-- For how many consumers each of some instants was asked apart.
select snapshot_timestamp, sum(cardinality(consumers))::bigint
from consumer_analytics_internal.written_apart
where consumers <> '{{}}' and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
group by snapshot_timestamp
