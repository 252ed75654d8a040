-- How many consumers joined in each slot.
select width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as slot, count(*)
from {consumers} as consumers
where created_at < (%(bounds)s::timestamptz[])[cardinality(%(bounds)s::timestamptz[])]
    and (%(consumers)s::uuid[] is null or consumer_id = any(%(consumers)s::uuid[]))
group by 1
