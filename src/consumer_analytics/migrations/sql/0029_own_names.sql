-- The user's tables may have names of their own. What he calls them, their columns and the words in
-- them that carry meaning, settings say and the server does not know; the functions here that
-- read them ask for it. `migrate` writes it down after the last migration, and beside it the functions of
-- capture for tables whose columns are called otherwise: see db/own_names.py.
create function consumer_analytics_internal.source_names() returns jsonb language sql immutable
set search_path = pg_catalog, pg_temp
return '{}'::jsonb;
revoke execute on function consumer_analytics_internal.source_names() from public;

-- Who writes the engine's state holds his settings against it.
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.state'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant execute on function consumer_analytics_internal.source_names() to ' || role;
    end loop;
end
$$;

-- The figures of this moment (0025), read from tables and by words of these names. What is put in their
-- place was written by `migrate`, names as identifiers; only the owner of the function could change it.
do $do$
declare
    definition text := pg_get_functiondef('consumer_analytics_internal.figures_at(timestamptz, uuid[])'::regprocedure);
    change record;
begin
    for change in
        select *
        from (
            values
                (
                    'source text := consumer_analytics_internal.source_schema();',
                    'names jsonb := consumer_analytics_internal.source_names();'
                ),
                (
                    $$begin
    -- A view's code$$,
                    $$begin
    if names = '{}' then
        raise exception using
            errcode = 'feature_not_supported',
            message = 'nobody has said yet what the sources are called: run consumer-analytics migrate';
    end if;
    -- A view's code$$
                ),
                (
                    $$        from pg_class
        join pg_namespace on pg_namespace.oid = pg_class.relnamespace
        where pg_namespace.nspname = source
            and pg_class.relname in ('consumers', 'customers', 'customer_events')
            and pg_class.relkind in$$,
                    $$        from jsonb_each(names -> 'tables') as source (known, said)
        join pg_namespace on pg_namespace.nspname = source.said ->> 'schema'
        join pg_class
            on pg_class.relnamespace = pg_namespace.oid and pg_class.relname = source.said ->> 'table'
        where pg_class.relkind in$$
                ),
                ('select below.relname into unfit', 'select below.oid::regclass::text into unfit'),
                (
                    'format(''consumer_analytics_now reads tables only, and %I.%I is none'', source, unfit)',
                    'format(''consumer_analytics_now reads tables only, and %s is none'', unfit)'
                ),
                (
                    $$    where namespace.nspname = source and class.relname = 'customers' and attribute.attname = 'created_at';$$,
                    $$    where namespace.nspname = names #>> '{tables,customers,schema}'
        and class.relname = names #>> '{tables,customers,table}'
        and attribute.attname = names #>> '{tables,customers,columns,created_at}';$$
                ),
                ('%5$I.customer_events', '%5$s as customer_events'),
                ('%5$I.customers', '%8$s as customers'),
                ('%5$I.consumers', '%9$s as consumers'),
                ('''customer_creation''', '%10$L'),
                ('''customer_status_change''', '%11$L'),
                ('''customer_deletion''', '%12$L'),
                ('''ACTIVE''', '%13$L'),
                ('''INACTIVE''', '%14$L'),
                ('->> ''status''', '->> %15$L'),
                ('->> ''old_status''', '->> %16$L'),
                ('->> ''new_status''', '->> %17$L'),
                (
                    $$            source,
            case
                when may_lack_time
                    then format('union select customer_id from %I.customers where created_at is null', source)
                else ''
            end,
            wanted
$$,
                    $$            names #>> '{rows,customer_events}',
            case
                when may_lack_time
                    then
                        format(
                            'union select customer_id from %s as customers where created_at is null',
                            names #>> '{rows,customers}'
                        )
                else ''
            end,
            wanted,
            names #>> '{rows,customers}',
            names #>> '{rows,consumers}',
            names #>> '{words,customer_creation}',
            names #>> '{words,customer_status_change}',
            names #>> '{words,customer_deletion}',
            names #>> '{words,active}',
            names #>> '{words,inactive}',
            names #>> '{words,status_key}',
            names #>> '{words,old_status_key}',
            names #>> '{words,new_status_key}'
$$
                )
        ) as changes (was, is_now)
    loop
        if strpos(definition, change.was) = 0 then
            raise exception 'the figures of this moment are not as an earlier migration made them: %', change.was;
        end if;
        definition := replace(definition, change.was, change.is_now);
    end loop;
    execute definition;
end
$do$;

drop function consumer_analytics_internal.source_schema();
