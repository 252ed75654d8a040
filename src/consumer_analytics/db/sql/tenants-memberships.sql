-- Memberships of tenants' logins in other roles of ours by which they could become these.
select role.rolname as role, member.rolname as member, grantor.rolname as grantor
from pg_auth_members as membership
join pg_roles as role on role.oid = membership.roleid
join pg_roles as member on member.oid = membership.member
join pg_roles as grantor on grantor.oid = membership.grantor
where membership.set_option
    and member.rolname = any (%(logins)s::text[])
    and role.rolname = any (%(roles)s::text[])
