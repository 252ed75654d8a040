-- Whether the events are a table without an index by which those of a customer could be looked up:
-- a whole one that begins with it. What lies below a view is not looked into.
select exists (
    select
    from {source_tables} as source (known, schema, name)
    join {source_columns} as source_column (source, known, name)
        on source_column.source = source.known and source_column.known = 'customer_id'
    join pg_namespace as namespace on namespace.nspname = source.schema
    join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
    join pg_attribute as customer on customer.attrelid = class.oid and customer.attname = source_column.name
    where source.known = 'customer_events'
        and class.relkind in ('r', 'p')
        and customer.attgenerated <> 'v'
        and not exists (
            select
            from pg_index as index
            join pg_class as index_class on index_class.oid = index.indexrelid
            join pg_am on pg_am.oid = index_class.relam and pg_am.amname in ('btree', 'hash')
            where index.indrelid = class.oid
                and index.indisvalid
                and index.indpred is null
                and index.indkey[0] = customer.attnum
        )
)
