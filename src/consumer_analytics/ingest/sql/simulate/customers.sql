-- The customers of a simulated history: a consumer brings a quarter of them
-- along, the others come ever faster; one in eleven is deleted again.
create temp table simulated_customers on commit drop as
with born as (
    select
        rank,
        consumer_id,
        hours_ahead,
        rhythm_until,
        consumer.created_us as consumer_created_us,
        customers_before + place as ordinal,
        rhythm_from + (rhythm_until - rhythm_from) * case
            when share < 0.25 then 0.08 * share
            else 0.02 + 0.98 * (0.5 * (share - 0.25) / 0.75 + 0.5 * sqrt((share - 0.25) / 0.75))
        end as rhythm
    from simulated_consumers as consumer
    cross join generate_series(1, customers) as place
    cross join lateral (
        select
            (
                place - 1
                + (hashint8extended(customers_before + place, %(salt)s::bigint + 2) & 4294967295) / 4294967296.0::float8
            ) / customers as share
        offset 0
    ) as drawn
),

timed as (
    select
        *,
        greatest(consumer_created_us, least({instant}, %(until_us)s - 1000000)) as created_us
    from (
        select *, width_bucket(rhythm - floor(rhythm), %(weekly)s::float8[]) as hour
        from born
        offset 0
    ) as placed
),

fated as (
    select
        *,
        -- Whoever came in the last two days is not deleted yet.
        (fate & 1023) < 93 and %(until_us)s - created_us > 172800000000 as is_deleted,
        ((fate >> 10) & 63)::int as slot,
        -- Opened and approved, or changed twice, in a single transaction.
        ((fate >> 16) & 31) = 0 as begins_at_once,
        ((fate >> 21) & 15) = 0 as changes_together,
        ((fate >> 25) & 1) = 0 as closes,
        ((fate >> 32) & 65535) as lives_share,
        ((fate >> 48) & 65535) as activity_dice
    from (
        select *, hashint8extended(ordinal, %(salt)s::bigint + 3) as fate
        from timed
        offset 0
    ) as drawn
),

ended as (
    select
        *,
        case
            when is_deleted
                then created_us + (%(until_us)s - created_us) / 65536 * (3277 + lives_share * 9 / 10)
            else %(until_us)s
        end as ended_us
    from fated
),

lived as (
    select
        *,
        case when ended_us - created_us >= 3600000000 then statuses else statuses[:1] end as path
    from ended
    inner join simulated_paths using (slot)
)

select
    ordinal,
    (
        lpad(to_hex((created_us / 1000 << 16) + %(id_middle)s), 16, '0')
        || to_hex(%(id_tail)s + ordinal)
    )::uuid as customer_id,
    rank,
    consumer_id,
    hours_ahead,
    created_us,
    ended_us,
    is_deleted,
    is_deleted and closes as closes,
    begins_at_once,
    changes_together and path[1] <> path[3] as changes_together,
    path,
    lived.rhythm as rhythm_from,
    case when is_deleted then greatest(ending.rhythm, lived.rhythm) else rhythm_until end as rhythm_until,
    -- A few do most of what is done.
    1.0::float8 / (0.02 + activity_dice / 65536.0::float8) as activity
from lived
left join lateral ({rhythm_of_end}) as ending on is_deleted
