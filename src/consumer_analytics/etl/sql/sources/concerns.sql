-- What lies below the source tables and may hide rows from a run: foreign tables and materialized
-- views, which show nothing of what is in flight, and row security. A view's tables are read
-- as its owner, unless it is one of its invoker's; a table's parts with the table's own rights.
with recursive below as (
    select source.known as source, class.oid, role.oid as reader, true as is_read_itself
    from {source_tables} as source (known, schema, name)
    inner join pg_namespace as namespace on namespace.nspname = source.schema
    inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
    cross join pg_roles as role
    where class.relkind in ('r', 'p', 'v', 'm', 'f')
        and role.rolname = current_user
    union
    select
        below.source,
        part.oid,
        case
            when part.is_read_itself
                and not exists (
                    select
                    from pg_options_to_table(above.reloptions)
                    where option_name = 'security_invoker' and option_value::boolean
                )
                then above.relowner
            else below.reader
        end,
        part.is_read_itself
    from below
    inner join pg_class as above on above.oid = below.oid
    cross join lateral (
        -- Partitions, and tables that inherit.
        select inhrelid as oid, false as is_read_itself
        from pg_inherits
        where inhparent = below.oid
        union all
        -- What a view selects from.
        select uses.refobjid, true
        from pg_rewrite as rule
        inner join pg_depend as uses
            on uses.classid = 'pg_rewrite'::regclass
                and uses.objid = rule.oid
                and uses.refclassid = 'pg_class'::regclass
                and uses.refobjid <> rule.ev_class
        where rule.ev_class = below.oid and rule.ev_type = '1'
    ) as part
)

select
    below.source,
    namespace.nspname || '.' || class.relname as name,
    case
        when class.relkind = 'f' then 'foreign'
        when class.relkind = 'm' then 'materialized'
        else 'filtered'
    end as concern,
    reader.rolname
from below
inner join pg_class as class on class.oid = below.oid
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
inner join pg_roles as reader on reader.oid = below.reader
where class.relkind in ('f', 'm')
    or (
        class.relrowsecurity
        and below.is_read_itself
        and not reader.rolsuper
        and not reader.rolbypassrls
        and (class.relforcerowsecurity or not pg_has_role(reader.oid, class.relowner, 'usage'))
    )
order by below.source, name, concern
