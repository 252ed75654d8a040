-- The source tables whose rows may lack a time.
select source.known as table_name
from {source_tables} as source (known, schema, name)
join {source_columns} as time (source, known, name) on time.source = source.known and time.known = 'created_at'
join pg_namespace as namespace on namespace.nspname = source.schema
join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attname = time.name
where not attribute.attnotnull
