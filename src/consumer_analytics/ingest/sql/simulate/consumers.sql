-- The consumers of a simulated history: sizes fall off as 1/rank (Zipf), some
-- are there from the start and the others join during the first four fifths.
--
-- Activity is reckoned in rhythm time, the area under the weekly profile: one
-- unit a week. It runs fast when much happens and slowly at night.
create temp table simulated_consumers on commit drop as
with ranked as (
    select
        rank,
        hashint8extended(rank, %(salt)s::bigint + 1) as dice,
        1000000000000 / rank as weight
    from generate_series(1, %(consumers)s::bigint) as rank
),

weighed as (
    select
        *,
        sum(weight) over (order by rank) as weight_until,
        sum(weight) over () as weight_in_all
    from ranked
),

placed as (
    select
        rank,
        dice,
        -- Shares that add up to the whole exactly.
        div(%(customers)s * (weight_until - weight), weight_in_all)::bigint as customers_before,
        div(%(customers)s * weight_until, weight_in_all)::bigint as customers_until,
        (array[-8, -5, -3, 0, 0, 1, 2, 8])[1 + ((dice >> 32) & 7)] as hours_ahead,
        case
            when rank = 1 then 0
            -- Two in five within the first fiftieth.
            when (dice & 4294967295) < 1717986918 then (dice & 4294967295) / 85899345920.0::float8
            else ((dice & 4294967295) - 1717986918) / 3221225472.0::float8
        end as joins_at
    from weighed
),

timed as (
    select
        *,
        %(first_us)s
        + floor(joins_at * (%(until_us)s - %(first_us)s)::float8 / 1e6)::bigint * 1000000 as created_us
    from placed
)

select
    rank,
    (
        -- Spread over all that a uuid can begin with, for people to tell them apart.
        lpad(to_hex(((dice & 281474976710655) << 16) + %(id_middle)s), 16, '0')
        || to_hex(%(id_tail)s + rank)
    )::uuid as consumer_id,
    customers_before,
    customers_until - customers_before as customers,
    hours_ahead,
    created_us,
    begins.rhythm as rhythm_from,
    ends.rhythm as rhythm_until
from timed
cross join lateral ({rhythm_of_created}) as begins
cross join lateral ({rhythm_of_until}) as ends
