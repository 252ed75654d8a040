-- What is noted of the days that are counted again, as an extract has it: a stretch that no
-- instant cuts lies in one slot.
create temporary table noted_events on commit drop as
select
    consumer_id,
    since::date as day,
    width_bucket(since, %(bounds)s::timestamptz[]) as slot,
    event_type,
    n,
    false as fresh
from consumer_analytics_internal.vanished_events
where since::date <@ %(recount)s::datemultirange
