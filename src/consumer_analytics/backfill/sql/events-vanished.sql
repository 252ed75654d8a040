-- The same of days that an instant cuts: what is noted as vanished, beside what the source holds. A
-- stretch lies on one side of every instant that is written.
select known.consumer_id, known.slot, {rest} as rest, consumer_analytics_internal.total(known.n) as events
    {pivoted}
from (
    select consumer_id, event_type, n, width_bucket(since, %(bounds)s::timestamptz[]) as slot
    from consumer_analytics_internal.vanished_events
    where since::date <@ %(cut)s::datemultirange
) as known
where {wanted}
group by 1, 2, 3
