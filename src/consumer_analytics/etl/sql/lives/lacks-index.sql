-- Whether the events are a table without an index by which those of a customer could be looked up:
-- a whole one that begins with it. What lies below a view is not looked into. One part after the
-- other, so that no server's settings make it join its catalogs whole.
with events as materialized (
    select class.oid, source_column.name
    from {source_tables} as source (known, schema, name)
    join {source_columns} as source_column (source, known, name)
        on source_column.source = source.known and source_column.known = 'customer_id'
    join pg_namespace as namespace on namespace.nspname = source.schema
    join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
    where source.known = 'customer_events' and class.relkind in ('r', 'p')
),

customer as materialized (
    select attribute.attrelid, attribute.attnum
    from events
    join pg_attribute as attribute on attribute.attrelid = events.oid and attribute.attname = events.name
    where attribute.attgenerated <> 'v'
),

indexes as materialized (
    select index.indexrelid
    from customer
    join pg_index as index on index.indrelid = customer.attrelid and index.indkey[0] = customer.attnum
    where index.indisvalid and index.indpred is null
)

select
    exists (select from customer)
    and not exists (
        select
        from indexes
        join pg_class as class on class.oid = indexes.indexrelid
        join pg_am on pg_am.oid = class.relam and pg_am.amname in ('btree', 'hash')
    )
