-- All events before the end of what was counted, by consumer.
select consumer_id, rest, sum(events)::bigint {summed}
from backfill_counted
where slot < %(slots)s
group by consumer_id, rest
