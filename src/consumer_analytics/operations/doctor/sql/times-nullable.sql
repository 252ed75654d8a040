-- The source tables whose rows may lack a time.
select class.relname::text
from pg_attribute as attribute
join pg_class as class on class.oid = attribute.attrelid
where class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and class.relname = any(%(tables)s::text[])
    and attribute.attname = 'created_at'
    and not attribute.attnotnull
