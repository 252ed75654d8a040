-- Those who are still there, as they stand at the end.
insert into {customers} (customer_id, consumer_id, status, created_at, updated_at)
select
    customer_id,
    consumer_id,
    path[cardinality(path)]::{type_of_status},
    'epoch'::timestamptz + created_us * interval '1 microsecond',
    'epoch'::timestamptz + coalesce(changed_us, created_us) * interval '1 microsecond'
from simulated_customers
left join (
    select customer_id, max(at_us) as changed_us
    from simulated_lifecycle
    group by customer_id
) as lifecycle using (customer_id)
where not is_deleted
order by created_us, ordinal
