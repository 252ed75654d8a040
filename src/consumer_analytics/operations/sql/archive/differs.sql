-- Of a day how many events are noted as vanished, and by how many what was counted differs from the
-- rows, by consumer and type.
with kinds as (
    select consumer_id, event_type, sum(counted) as counted, sum(held) as held
    from (
        select consumer_id, event_type, n as counted, 0 as held
        from consumer_analytics_internal.event_days
        where day = %(day)s::date
        union all
        select consumer_id, {event_type_name}, 0, {events_there}
        from {customer_events} as events
        where created_at >= %(day)s::date::timestamptz and created_at < (%(day)s::date + 1)::timestamptz
        group by 1, 2
    ) as rows
    group by 1, 2
)

select
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.vanished_events
        where since >= %(day)s::date::timestamptz and since < (%(day)s::date + 1)::timestamptz
    ) as vanished,
    coalesce(sum(greatest(held - counted, 0)), 0)::bigint as uncounted,
    coalesce(sum(greatest(counted - held, 0)), 0)::bigint as lacking
from kinds
