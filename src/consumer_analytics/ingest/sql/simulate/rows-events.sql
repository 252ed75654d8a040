-- The events of a slice of time, in the order in which they happen.
--
-- A customer's ordinary events divide the time that they are there, as the
-- rhythm counts it, into equal parts, and each happens somewhere in its part:
-- so those of a slice can be told without looking at any other.
with bounds as materialized (
    select
        rank,
        case when %(is_first)s then '-infinity' else begins.rhythm end as rhythm_from,
        case when %(is_last)s then 'infinity' else ends.rhythm end as rhythm_until
    from simulated_consumers
    cross join lateral ({rhythm_of_from}) as begins
    cross join lateral ({rhythm_of_until}) as ends
),

candidates as (
    select
        actor.customer_id,
        actor.consumer_id,
        actor.hours_ahead,
        actor.created_us,
        actor.ended_us,
        actor.rhythm_from,
        actor.rhythm_span,
        actor.events_before,
        actor.events,
        bounds.rhythm_from as slice_from,
        bounds.rhythm_until as slice_until,
        generate_series(
            greatest(0, floor((bounds.rhythm_from - actor.rhythm_from) * density - margin))::bigint,
            least(events - 1, floor((bounds.rhythm_until - actor.rhythm_from) * density + margin))::bigint
        ) as place
    from simulated_actors as actor
    inner join bounds using (rank)
    where actor.rhythm_from < bounds.rhythm_until
        and actor.rhythm_from + rhythm_span >= bounds.rhythm_from
),

placed as (
    select
        customer_id,
        consumer_id,
        hours_ahead,
        created_us,
        ended_us,
        slice_from,
        slice_until,
        events_before + place as event_ordinal,
        rhythm_from
        + rhythm_span * (
            (
                place
                + (hashint8extended(events_before + place, %(salt)s::bigint + 5) & 4294967295)
                / 4294967296.0::float8
            ) / events
        ) as rhythm
    from candidates
    offset 0
),

kept as (
    select
        customer_id,
        consumer_id,
        hours_ahead,
        created_us,
        ended_us,
        event_ordinal,
        rhythm,
        width_bucket(rhythm - floor(rhythm), %(weekly)s::float8[]) as hour
    from placed
    where rhythm >= slice_from and rhythm < slice_until
    offset 0
),

happened as (
    select
        greatest(created_us + 1, least({instant}, ended_us - 1)) as at_us,
        event_ordinal,
        customer_id,
        consumer_id,
        event_type,
        '{{}}'::jsonb as payload_json
    from kept
    inner join simulated_types
        on slot = ((hashint8extended(event_ordinal, %(salt)s::bigint + 5) >> 32) & %(last_type_slot)s)::int
    union all
    select
        at_us,
        %(lifecycle_ordinals)s + event_ordinal,
        customer_id,
        consumer_id,
        event_type,
        payload_json
    from simulated_lifecycle
    where at_us >= %(from_us)s and at_us < %(until_us)s
    order by at_us, event_ordinal
)

select
    (
        lpad(to_hex((at_us / 1000 << 16) + %(id_middle)s), 16, '0')
        || to_hex(%(id_tail)s + event_ordinal)
    )::uuid as event_id,
    customer_id,
    consumer_id,
    event_type,
    payload_json,
    'epoch'::timestamptz + at_us * interval '1 microsecond' as created_at
from happened
