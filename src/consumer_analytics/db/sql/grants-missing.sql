-- Which of the rights asked for, by their places from 1 on, this login lacks. By
-- the catalog alone: a name cannot be resolved in a schema that is out of reach.
select asked.place
from unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(privileges)s::text[])
with ordinality as asked (kind, schema, name, privilege, place)
where case asked.kind
    when 'database' then not has_database_privilege(current_database(), asked.privilege)
    when 'role' then not pg_has_role(current_user, asked.name, 'usage')
    when 'schema' then exists (
        select from pg_namespace
        where nspname = asked.name and not has_schema_privilege(oid, asked.privilege)
    )
    when 'function' then exists (
        select from pg_proc
        where pronamespace = (select oid from pg_namespace where nspname = asked.schema)
            and proname = asked.name
            and not has_function_privilege(oid, asked.privilege)
    )
    else exists (
        select from pg_class
        where relnamespace = (select oid from pg_namespace where nspname = asked.schema)
            and relname = asked.name
            and case relkind
                when 'S' then not has_sequence_privilege(oid, asked.privilege)
                else not has_table_privilege(oid, asked.privilege)
            end
    )
end
order by asked.place
