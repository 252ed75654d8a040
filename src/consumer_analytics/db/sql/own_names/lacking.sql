-- The first source table that is not there, whoever may read it; or else the first of the columns that
-- it must have.
select source.schema || '.' || source.name, case when class.oid is not null then source_column.name end
from {source_tables} as source (known, schema, name)
join {source_columns} as source_column (source, known, name) on source_column.source = source.known
join unnest(%(tables)s::text[], %(columns)s::text[]) as needed (source, known)
    on needed.source = source_column.source and needed.known = source_column.known
left join pg_namespace as namespace on namespace.nspname = source.schema
left join pg_class as class
    on class.relnamespace = namespace.oid
        and class.relname = source.name
        and class.relkind in ('r', 'p', 'v', 'm', 'f')
left join pg_attribute as attribute
    on attribute.attrelid = class.oid and attribute.attname = source_column.name and attribute.attnum > 0
where class.oid is null or attribute.attrelid is null
order by class.oid is not null, source.known, source_column.name
limit 1
