-- How many of these instants have their snapshot already, as far as it is asked for.
select count(distinct snapshot_timestamp)
from public.consumer_analytics
where {whose} and snapshot_timestamp = any(%(instants)s)
