-- What enforces one row per consumer and instant, NULL consumer included; whether
-- this login owns the table, and about how many rows it has: NULL where nobody has counted them yet.
select
    (
        select index_class.relname::text
        from pg_index as index
        join pg_class as index_class on index_class.oid = index.indexrelid
        where index.indrelid = class.oid
            and index.indisunique
            and index.indisvalid
            and index.indimmediate
            and index.indnullsnotdistinct
            and index.indpred is null
            and index.indnkeyatts = 2
            and (
                select array_agg(attname::text order by attname)
                from pg_attribute
                where attrelid = class.oid and attnum = any (index.indkey::int2[])
            ) = array['consumer_id', 'snapshot_timestamp']
        order by index_class.relname
        limit 1
    ),
    pg_has_role(class.relowner, 'usage'),
    nullif(class.reltuples, -1)::bigint
from pg_class as class
where class.oid = 'public.consumer_analytics'::regclass
