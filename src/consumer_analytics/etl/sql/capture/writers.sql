-- Transactions that have written the source tables and are open, prepared ones
-- too, by their transaction id. Locks are there for everyone to see, and are
-- given back only when what the transaction wrote can be seen.
select distinct on (held.virtualtransaction) own.transactionid::text
from pg_locks as held
join pg_locks as own
    on own.virtualtransaction = held.virtualtransaction
        and own.pid is not distinct from held.pid
        and own.locktype = 'transactionid'
        and own.mode = 'ExclusiveLock'
        and own.granted
where held.locktype = 'relation'
    and held.granted
    and held.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and held.database = (select oid from pg_database where datname = current_database())
    and held.relation in (
        -- What is written to a partition directly locks that alone.
        with recursive tree as (
            select class.oid
            from {source_tables} as source (known, schema, name)
            join pg_namespace as namespace on namespace.nspname = source.schema
            join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
            union
            select inhrelid
            from tree
            join pg_inherits on inhparent = tree.oid
        )

        select oid
        from tree
    )
    and held.pid is distinct from pg_backend_pid()
-- A sub-transaction has an id of its own, younger than the transaction's.
order by held.virtualtransaction, age(own.transactionid) desc
