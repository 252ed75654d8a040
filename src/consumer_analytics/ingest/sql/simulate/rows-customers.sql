-- Those who are still there, as they stand at the end.
select
    customer_id,
    consumer_id,
    path[cardinality(path)] as status,
    'epoch'::timestamptz + created_us * interval '1 microsecond' as created_at,
    'epoch'::timestamptz + coalesce(changed_us, created_us) * interval '1 microsecond' as updated_at
from simulated_customers
left join (
    select customer_id, max(at_us) as changed_us
    from simulated_lifecycle
    group by customer_id
) as lifecycle using (customer_id)
where not is_deleted
order by created_us, ordinal
