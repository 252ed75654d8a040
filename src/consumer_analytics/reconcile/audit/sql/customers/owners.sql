-- Since when a consumer has owned a customer, living or not; and whoever has a row at all: the unique
-- index is walked from one to the next.
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
    select consumer_id, coalesce(born, '-infinity') as since, false as is_present
    from audit_lives
    where coalesce(born, '-infinity') < ended
    union all
    select consumer_id, born, false
    from audit_uneventful
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
