-- Since when a consumer has owned a customer whose life is over; those that go on speak for it where
-- they are counted, and so do those whose birth nothing tells: creation events of its consumer have
-- vanished. And whoever has a row at all: the unique index is walked from one to the next.
insert into audit_owners as known (consumer_id, since, is_present)
with recursive mentioned (consumer_id) as (
    (
        select consumer_id
        from public.consumer_analytics
        where consumer_id is not null
        order by consumer_id
        limit 1
    )
    union all
    select (
        select next.consumer_id
        from public.consumer_analytics as next
        where next.consumer_id > mentioned.consumer_id
        order by next.consumer_id
        limit 1
    )
    from mentioned
    where mentioned.consumer_id is not null
)

select consumer_id, min(since), bool_or(is_present)
from (
    select consumer_id, born as since, false as is_present
    from audit_lives
    where born < ended and ended < 'infinity'
    union all
    select distinct consumer_id, 'infinity'::timestamptz, true
    from {customers} as customers
    union all
    select consumer_id, 'infinity', false
    from mentioned
) as owners
where consumer_id is not null
group by consumer_id
on conflict (consumer_id) do update set since = least(known.since, excluded.since), is_present = excluded.is_present
