-- The source tables that migrations made where there were none, or what else has their names.
select name
from unnest(array['consumers', 'customers', 'customer_events']) with ordinality as known (name, place)
where coalesce(has_table_privilege(to_regclass('public.' || name), 'select'), false)
order by place
