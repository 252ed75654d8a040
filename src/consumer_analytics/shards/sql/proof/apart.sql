-- For how many consumers instants were asked apart.
select snapshot_timestamp, sum(cardinality(consumers))::bigint
from consumer_analytics_internal.written_apart
where consumers <> '{{}}'
    and snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
group by snapshot_timestamp
