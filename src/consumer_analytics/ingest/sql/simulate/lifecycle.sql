-- What the customers' own events say. Of events in one microsecond the later
-- one has the lesser id, so that nothing may rely on the order of ids.
create temp table simulated_lifecycle on commit drop as
with changes as (
    select
        ordinal,
        customer_id,
        consumer_id,
        created_us,
        place,
        path[place] as old_status,
        path[place + 1] as new_status,
        (ended_us - created_us) / (cardinality(path) - 1) as stretch,
        hashint8extended(ordinal * 16 + place, %(salt)s::bigint + 4) as dice,
        begins_at_once,
        changes_together
    from simulated_customers
    cross join generate_series(1, cardinality(path) - 1) as place
),

drawn as (
    select
        *,
        created_us + stretch * (place - 1) as not_before,
        created_us + stretch * (place - 1) + stretch / 1024 * (64 + (dice & 511)) as drawn_us
    from changes
),

timed as (
    select
        *,
        case
            when place = 1 and begins_at_once then created_us
            -- Who has become inactive is found out by a job at midnight.
            when new_status = {inactive}
                and drawn_us / 86400000000 * 86400000000 > greatest(not_before, created_us)
                then drawn_us / 86400000000 * 86400000000
            else drawn_us
        end as at_us
    from drawn
),

settled as (
    select
        *,
        case
            when place = 2 and changes_together then lag(at_us) over (partition by ordinal order by place)
            else at_us
        end as changed_us
    from timed
)

select
    created_us as at_us,
    ordinal * 16 + 15 as event_ordinal,
    customer_id,
    consumer_id,
    {customer_creation} as event_type,
    jsonb_build_object({status_key}, path[1]) as payload_json
from simulated_customers
union all
select
    changed_us,
    ordinal * 16 + 15 - place,
    customer_id,
    consumer_id,
    {customer_status_change},
    jsonb_build_object({old_status_key}, old_status, {new_status_key}, new_status)
from settled
union all
select
    ended_us,
    ordinal * 16 + 1,
    customer_id,
    consumer_id,
    {customer_status_change},
    jsonb_build_object({old_status_key}, path[cardinality(path)], {new_status_key}, 'CLOSED')
from simulated_customers
where closes
union all
select
    ended_us,
    ordinal * 16,
    customer_id,
    consumer_id,
    {customer_deletion},
    jsonb_build_object({status_key}, case when closes then 'CLOSED' else path[cardinality(path)] end)
from simulated_customers
where is_deleted
