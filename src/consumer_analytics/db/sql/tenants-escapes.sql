-- Logins that are tenants and could see all consumers, and as whom: as themselves, where no policy
-- holds them, or as a role that they may become and that no policy of tenants is for.
with tenants as (
    select unnest(polroles) as oid
    from pg_policy
    where polrelid = 'public.consumer_analytics'::regclass and not polpermissive
),

logins as (
    select login.oid, login.rolname
    from pg_roles as login
    where login.rolcanlogin
        and exists (
            select from pg_auth_members
            join tenants on tenants.oid = pg_auth_members.roleid
            -- Superusers are members of all roles, and tenants only where they were made such.
            where pg_has_role(login.oid, pg_auth_members.member, 'member') and not login.rolsuper
                or pg_auth_members.member = login.oid
        )
),

-- Whom row-level security lets through.
free as (
    select role.oid, role.rolname
    from pg_roles as role
    where role.rolsuper
        or role.rolbypassrls
        or exists (
            select from pg_class
            where oid = any (array['public.consumer_analytics', 'public.consumer_analytics_revisions']::regclass[])
                and (
                    pg_has_role(role.oid, relowner, 'usage')
                    or (
                        (has_table_privilege(role.oid, oid, 'select') or has_any_column_privilege(role.oid, oid, 'select'))
                        and not exists (select from tenants where pg_has_role(role.oid, tenants.oid, 'usage'))
                    )
                )
        )
)

select login.rolname::text, login.rolname::text as role
from logins as login
join pg_roles as itself on itself.oid = login.oid
where itself.rolcreaterole and current_setting('server_version_num')::int < 160000
    or exists (select from free where free.oid = login.oid)
union
select login.rolname::text, free.rolname::text
from logins as login
join free on free.oid <> login.oid
join pg_roles as itself on itself.oid = login.oid
where not itself.rolsuper
    and (
        pg_has_role(
            login.oid, free.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
        )
        or pg_has_role(login.oid, free.oid, 'member with admin option')
    )
order by 1, 2
