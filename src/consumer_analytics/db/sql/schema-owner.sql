-- The role that owns a schema, where it is another one that this login may become.
select rolname
from pg_namespace
join pg_roles on pg_roles.oid = nspowner
where nspname = %(schema)s
    and rolname <> current_user
    -- Before 16 whoever was a member could.
    and pg_has_role(
        current_user, nspowner, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
    )
