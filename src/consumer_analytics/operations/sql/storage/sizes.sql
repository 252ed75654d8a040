-- What our tables take, by kind, indexes and all, and about how many rows they have.
with sources as (
    select class.oid
    from {source_tables} as source (known, schema, name)
    join pg_namespace as namespace on namespace.nspname = source.schema
    join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
)

select
    case
        when class.relname = 'consumer_analytics' then 'snapshots'
        when class.relname = 'consumer_analytics_revisions' then 'revisions'
        when class.relname in ('event_days', 'event_totals') then 'counts'
        when class.oid in (select oid from sources) then 'sources'
        when class.relnamespace = to_regnamespace(quote_ident(%(airflow_schema)s::text))
            and class.relnamespace <> 'public'::regnamespace
            then 'airflow'
        else 'state'
    end as kind,
    sum(pg_total_relation_size(class.oid))::bigint as bytes
from pg_class as class
where class.relkind in ('r', 'm')
    and (
        class.relnamespace = 'consumer_analytics_internal'::regnamespace
        or class.relnamespace = 'public'::regnamespace
        and class.relname in ('consumer_analytics', 'consumer_analytics_revisions', 'etl_job_watermarks')
        or class.oid in (select oid from sources)
        or class.relnamespace = to_regnamespace(quote_ident(%(airflow_schema)s::text))
        and class.relnamespace <> 'public'::regnamespace
    )
group by kind
