union
-- A creation may follow a deletion that the row has contradicted until then: it begins another life.
select begun.customer_id
from (
    select distinct customer_id
    from lifecycle
    where event_type = {customer_creation}
) as begun
cross join lateral (
    select today.created_at
    from {customers} as today
    where today.customer_id = begun.customer_id
    {one_by_one}
) as today
where today.created_at < {since}::timestamptz or today.created_at is null
