-- What lifecycle events said until a life ended; a deletion that has vanished is remembered.
said as (
    select
        over.customer_id, over.life, over.ended_at, over.previous_end, told.event_id, told.event_type, told.at,
        told.consumer_id, told.status, told.old_status, told.new_status,
        -- In the microsecond of an end a creation can begin the next life.
        (over.previous_end is null or told.at > over.previous_end or told.at = over.began_at)
        and (told.at < over.ended_at or told.at is distinct from over.next_began_at) as is_of_life
    from over
    join told using (customer_id)
    where told.at <= over.ended_at
    union all
    select
        over.customer_id, over.life, over.ended_at, over.previous_end, null, {customer_deletion}, known.deleted_at,
        known.consumer_id, known.status, null, null, true
    from over
    join known using (customer_id)
    where known.deleted_at = over.ended_at and known.row_status is null and known.is_vanished and not known.is_told
),

-- What the lifecycle events of ended lives said last: whose it was, and what.
last_words as materialized (
    select
        customer_id,
        life,
        (
            array_agg(consumer_id order by event_id)
                filter (where event_type = {customer_deletion} and at = ended_at and consumer_id is not null)
        )[1] as consumer_id,
        (
            array_agg(status order by event_id)
                filter (where event_type = {customer_deletion} and at = ended_at and status is not null)
        )[1] as status,
        (array_agg(consumer_id order by at desc, event_id desc) filter (where consumer_id is not null))[1]
            as lifecycle_consumer,
        max(at) filter (where consumer_id is not null) as lifecycle_at,
        (
            array_agg(new_status order by at desc, event_id desc) filter (
                where event_type = {customer_status_change}
                    and old_status is not null
                    and new_status is not null
                    and (previous_end is null or at > previous_end)
            )
        )[1] as new_status,
        max(at) filter (
            where event_type = {customer_status_change}
                and old_status is not null
                and new_status is not null
                and (previous_end is null or at > previous_end)
        ) as changed_at,
        (
            array_agg(status order by at desc, event_id desc) filter (
                where event_type = {customer_creation}
                    and status is not null
                    and is_of_life
            )
        )[1] as created_as
    from said
    group by customer_id, life
),

-- Where the deletion does not say it: where the changes of the last microsecond led to.
led_to as (
    select distinct on (customer_id, life) customer_id, life, status
    from (
        select customer_id, life, side.status, min(event_id::text) filter (where more = 1) as event_id
        from (
            select said.*, max(said.at) over (partition by said.customer_id, said.life) as last_at
            from last_words
            join said using (customer_id, life)
            where last_words.status is null
                and said.event_type = {customer_status_change}
                and said.old_status is not null
                and said.new_status is not null
                and (said.previous_end is null or said.at > said.previous_end)
        ) as changes
        cross join lateral (values (new_status, 1), (old_status, -1)) as side (status, more)
        where at = last_at
        group by customer_id, life, side.status
        having sum(more) > 0
    ) as ends
    order by customer_id, life, event_id
)
