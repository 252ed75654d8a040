-- Since when a consumer has owned a customer, living or not.
insert into audit_owners as known (consumer_id, since, is_present)
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
) as owners
where consumer_id is not null
group by consumer_id
on conflict (consumer_id) do update set since = least(known.since, excluded.since), is_present = excluded.is_present
