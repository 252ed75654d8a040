-- Take notes off, and count so many less: all of a note where what has vanished is accepted; where
-- rows were restored, as many as came back. What was counted before goes down by it; snapshots
-- after the earliest of them are to be looked at again, and all of them where customers of before
-- could not be told.
with wanted as materialized (
    select
        ctid as place,
        consumer_id,
        event_type,
        since,
        case when %(restored)s then least(n, came_back) else n end as n
    from consumer_analytics_internal.vanished_events
    where {chosen}
        and (not %(restored)s or came_back > 0)
),

removed as (
    delete from consumer_analytics_internal.vanished_events as noted
    using wanted
    where noted.ctid = wanted.place and noted.n = wanted.n
),

lowered as (
    update consumer_analytics_internal.vanished_events as noted
    set n = noted.n - wanted.n, came_back = noted.came_back - wanted.n
    from wanted
    where noted.ctid = wanted.place and noted.n > wanted.n
),

days as (
    update consumer_analytics_internal.event_days as known
    set n = known.n - less.n
    from (
        select consumer_id, event_type, since::date as day, sum(n)::bigint as n
        from wanted
        group by consumer_id, event_type, since::date
    ) as less
    where known.day = less.day
        and known.event_type = less.event_type
        and known.consumer_id is not distinct from less.consumer_id
),

totals as (
    update consumer_analytics_internal.event_totals as known
    set n = known.n - less.n
    from (
        select consumer_id, event_type, sum(n)::bigint as n
        from wanted
        group by consumer_id, event_type
    ) as less
    where known.event_type = less.event_type and known.consumer_id is not distinct from less.consumer_id
),

sums as (
    select
        coalesce(sum(n), 0)::bigint as n,
        min(
            case
                when event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
                    then '-infinity'
                else since
            end
        ) as since
    from wanted
),

state as (
    update consumer_analytics_internal.state
    set
        vanished = vanished - sums.n,
        version = version + 1,
        restate_after = least(restate_after, sums.since)
    from sums
    where job_name = {job} and sums.n > 0
)

select n, since
from sums
