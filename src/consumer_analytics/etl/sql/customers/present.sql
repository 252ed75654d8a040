-- Today's customers from before the last instant, by consumer, slot and status; each
-- slot's new ones are those from within the windows.
select
    consumer_id,
    {slot_of_customer} as slot,
    status::text as status,
    (count(*) filter (where created_at < %(last)s::timestamptz))::int as n,
    (count(*) filter (where created_at < %(last)s::timestamptz and isfinite(created_at)))::int as dated,
    coalesce(
        sum((tstzrange_subdiff(created_at::timestamptz, 'epoch') * 1e6)::bigint)
            filter (where created_at < %(last)s::timestamptz and isfinite(created_at)),
        0
    ) as created_us,
    (
        count(*) filter (where created_at >= %(start)s::timestamptz and created_at < %(last)s::timestamptz)
    )::int as born,
    -- What lies in the future lies after the last instant: few rows are compared with now().
    count(*) filter (where created_at >= %(last)s::timestamptz and created_at > now()) as future
from {customers} as customers
group by consumer_id, slot, status::text
