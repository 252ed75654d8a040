-- Rows that registered consumers will have: one for each instant after they came.
select coalesce(sum(
    cardinality(%(instants)s::timestamptz[])
    - width_bucket(created_at::timestamptz, %(instants)s::timestamptz[])
), 0)::bigint
from {consumers} as consumers
where %(consumers)s::uuid[] is null or consumer_id = any(%(consumers)s::uuid[])
