-- The source tables whose rows may lack a time.
select class.relname::text as table_name
from pg_attribute as attribute
join pg_class as class on class.oid = attribute.attrelid
where class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and class.relname in ('consumers', 'customers', 'customer_events')
    and attribute.attname = 'created_at'
    and not attribute.attnotnull
