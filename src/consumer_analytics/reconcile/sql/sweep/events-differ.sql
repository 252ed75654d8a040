-- Days counted again, with what is noted as vanished, against what was known of them.
create temporary table differing_events on commit drop as
select consumer_id, day, event_type, sum(known)::bigint as known, sum(counted)::bigint as counted
from (
    select consumer_id, day, event_type, 0 as known, n as counted
    from {extracted_events} as extracted
    union all
    select consumer_id, since::date, event_type, 0, n
    from consumer_analytics_internal.vanished_events
    where since::date <@ %(recount)s::datemultirange
    union all
    select consumer_id, day, event_type, n, 0
    {recounted_days}
) as rows
group by consumer_id, day, event_type
having sum(known) <> sum(counted)
