-- What roles may do with the objects of this database, object by object: what they own, what was
-- granted to them, which roles they are members of, and the policies that hold for them.
with whom as (
    select oid, format('%%s', rolname) as role
    from pg_roles
    where rolname = any(%(roles)s)
),

object (kind, name, acl, owner) as (
    select
        case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end,
        format('%%s.%%s', nspname, relname),
        relacl,
        relowner
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select
        'function',
        format('%%s.%%s(%%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
        proacl,
        proowner
    from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
    union all
    select 'schema', nspname::text, nspacl, nspowner from pg_namespace
    union all
    select 'database', datname::text, datacl, datdba from pg_database where datname = current_database()
    union all
    select 'column', format('%%s.%%s.%%s', nspname, relname, attname), attacl, relowner
    from pg_attribute
    join pg_class on pg_class.oid = attrelid
    join pg_namespace on pg_namespace.oid = relnamespace
    where attacl is not null
)

select whom.role, object.kind, object.name, 'owner'
from object
join whom on whom.oid = object.owner
where object.kind <> 'column'
union all
select whom.role, object.kind, object.name, lower(acl.privilege_type)
from object
cross join lateral aclexplode(object.acl) as acl
join whom on whom.oid = acl.grantee and acl.grantee <> object.owner
union all
select whom.role, 'role', granted.rolname::text, 'member'
from pg_auth_members
join whom on whom.oid = pg_auth_members.member
join pg_roles as granted on granted.oid = pg_auth_members.roleid
union all
select whom.role, 'policy', format('%%s.%%s', policy.schemaname, policy.tablename), policy.policyname::text
from pg_policies as policy
join whom on whom.role = any(policy.roles::text[])
