-- The consumers that may have a row: `since` is the slot in which one was
-- registered, or had a customer who is remembered, `begins` the first in which there is anything to
-- say of it.
with recursive {life_owners}

select consumer_id, min(since) as since, min(slot) as begins
from (
    select
        consumer_id,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as since,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as slot
    from {consumers} as consumers
    where created_at < %(last)s::timestamptz
    union all
    select
        consumer_id,
        width_bucket(since, %(bounds)s::timestamptz[]),
        width_bucket(since, %(bounds)s::timestamptz[])
    from life_owners
    where since < %(last)s::timestamptz
        -- One that was registered before the first slot is told of already.
        and not exists (
            select from {consumers} as registered
            where registered.consumer_id = life_owners.consumer_id
                and registered.created_at < (%(bounds)s::timestamptz[])[1]
        )
    union all
    select consumer_id, null, min(slot)
    from event_cells
    group by consumer_id
    union all
    select consumer_id, null, min(slot)
    from customer_cells
    group by consumer_id
) as mentioned
where consumer_id is not null and {wanted}
group by consumer_id
