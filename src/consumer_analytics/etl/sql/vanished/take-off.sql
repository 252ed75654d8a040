-- Take notes off, and count so many less: all of a note where what has vanished is accepted; where
-- rows were restored, as many as came back. What was counted before goes down by it. Where they are
-- few, whole days' and somebody's, snapshots are told so many less, and customers of before that
-- could not be told are compared; otherwise snapshots after the earliest of them, or all, are
-- looked at again.
with wanted as materialized (
    select
        ctid as place,
        consumer_id,
        event_type,
        since,
        until,
        case when %(restored)s then least(n, came_back) else n end as n
    from consumer_analytics_internal.vanished_events
    where {chosen}
        and (not %(restored)s or came_back > 0)
),

accepted as (
    insert into consumer_analytics_internal.accepted_events (consumer_id, event_type, since, until)
    select consumer_id, event_type, since, until
    from wanted
    where not %(restored)s
    on conflict do nothing
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

less as materialized (
    select consumer_id, event_type, since::date as day, sum(n)::bigint as n
    from wanted
    group by consumer_id, event_type, since::date
),

known as materialized (
    select processed_through, last_processed_timestamp >= processed_through as is_reached
    from consumer_analytics_internal.state
    join public.etl_job_watermarks using (job_name)
    where job_name = {job}
),

sure as materialized (
    select
        count(*) <= %(most)s
        and coalesce(
            bool_and(
                is_reached
                and consumer_id is not null
                and day > '0001-01-01'
                and day < processed_through::date
            ),
            false
        ) as can_be_added
    from less
    cross join known
),

noted as (
    insert into consumer_analytics_internal.untold_events as waiting (consumer_id, day, event_type, until, n)
    select consumer_id, day, event_type, processed_through, -n
    from less
    cross join known
    where (select can_be_added from sure)
    on conflict (consumer_id, day, event_type, until) do update
    set n = waiting.n + excluded.n
),

days as (
    update consumer_analytics_internal.event_days as known
    set n = known.n - less.n
    from less
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
        ) as since,
        min('-infinity'::timestamptz) filter (
            where event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        ) as lives_since
    from wanted
),

state as (
    update consumer_analytics_internal.state
    set
        vanished = vanished - sums.n,
        version = version + 1,
        restate_after = least(restate_after, case when not can_be_added then sums.since end),
        customers_after = least(customers_after, case when can_be_added then lives_since end),
        customers_of = case when not can_be_added or lives_since is null then customers_of end
    from sums
    cross join sure
    where job_name = {job} and sums.n > 0
)

select n, since
from sums
