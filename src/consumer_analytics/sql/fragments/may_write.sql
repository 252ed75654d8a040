-- Whether a login (`login.oid`) could write a row to the sources, in whatever way, by what the catalog
-- tells: as itself, or as a role that it is a member of, by inheriting or by SET ROLE. What a row of
-- another table leads to (a view, a rule, a trigger, a foreign key) and what a function does that
-- runs with its owner's rights is not looked into: whoever may do the one or call the other may
-- write. What is ours writes no source, and is left out: a statement names `others_tables` first.
(
    not exists (select from pg_roles where pg_roles.oid = login.oid)
    or exists (
        select from pg_roles as role
        where pg_has_role(login.oid, role.oid, 'member')
            and (
                role.rolsuper
                or role.rolname in ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
                -- Could make itself a member of any role, before 16.
                or role.rolcreaterole and current_setting('server_version_num')::int < 160000
            )
    )
    or exists (
        select from others_tables as relation
        left join pg_attribute as written on written.attrelid = relation.oid and written.attacl is not null
        where pg_has_role(login.oid, relation.relowner, 'member')
            or exists (
                select from aclexplode(relation.relacl || written.attacl) as acl
                where acl.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
                    and (acl.grantee = 0 or pg_has_role(login.oid, acl.grantee, 'member'))
            )
    )
    or exists (
        select from pg_proc as function
        join pg_namespace as namespace on namespace.oid = function.pronamespace
        where function.prosecdef
            and namespace.nspname not in ('pg_catalog', 'information_schema', 'consumer_analytics_internal')
            and (
                pg_has_role(login.oid, function.proowner, 'member')
                or exists (
                    select from aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as acl
                    where acl.privilege_type = 'EXECUTE'
                        and (acl.grantee = 0 or pg_has_role(login.oid, acl.grantee, 'member'))
                )
            )
    )
)
