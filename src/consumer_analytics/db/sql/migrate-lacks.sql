-- What keeps a login from migrating, as the statements that mend it: it is not of the role that owns what is there; or
-- that role, the login itself where there is nothing yet, may not create. Before 16 whoever was a member could become it.
with worker as (
    select
        coalesce(rolname, session_user) as name,
        rolname as owner,
        rolname is null
        or pg_has_role(
            session_user,
            rolname,
            case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
        ) as can_be
    from (values (1)) as one (row)
    left join pg_namespace on nspname = %(schema)s
    left join pg_roles on pg_roles.oid = nspowner
)

select
    quote_ident(owner) as owner,
    format('GRANT %%I TO %%I', owner, session_user) as mended_by
from worker
where not can_be
union all
select
    null,
    format('GRANT CREATE ON DATABASE %%I TO %%I', current_database(), name)
from worker
where can_be and owner is null and not has_database_privilege(name, current_database(), 'create')
union all
select
    null,
    format('GRANT USAGE, CREATE ON SCHEMA %%I TO %%I', nspname, name)
from worker
join pg_namespace on nspname = any(%(created_in)s::text[])
where can_be and not has_schema_privilege(name, pg_namespace.oid, 'create')
