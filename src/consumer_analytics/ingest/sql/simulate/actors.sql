-- How many of the ordinary events are each customer's, and which: by how active
-- one is and how long one was there. The shares add up exactly.
create temp table simulated_actors on commit drop as
with weighed as (
    select
        *,
        rhythm_until - rhythm_from as rhythm_span,
        case
            when rhythm_until - rhythm_from > 1e-9
                then 1 + floor(activity * (rhythm_until - rhythm_from) * 1e6)::bigint
            else 0
        end as weight
    from simulated_customers
),

summed as (
    select
        *,
        sum(weight) over (order by ordinal) as weight_until,
        sum(weight) over () as weight_in_all
    from weighed
),

shared as (
    select
        *,
        div(%(events)s * (weight_until - weight), weight_in_all)::bigint as events_before,
        div(%(events)s * weight_until, weight_in_all)::bigint as events_until
    from summed
)

select
    customer_id,
    rank,
    consumer_id,
    hours_ahead,
    created_us,
    ended_us,
    rhythm_from,
    rhythm_span,
    events_before,
    events_until - events_before as events,
    (events_until - events_before) / rhythm_span as density,
    -- What rounding may do at a slice's edge, in events.
    least(1, 1e-6 + (events_until - events_before) / rhythm_span * 4e-12) as margin
from shared
where events_until > events_before
