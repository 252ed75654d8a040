-- Zones other than UTC that sessions here begin with: this login's own, and those that are set for a role
-- or for the database. Which zone a client asks for itself is not known.
with begun as (
    select current_user::text as whose, reset_val as zone
    from pg_settings
    where name = 'TimeZone'
    union
    select
        coalesce(role.rolname::text, 'everybody'),
        split_part(setting, '=', 2)
    from pg_db_role_setting as kept
    cross join unnest(kept.setconfig) as setting
    left join pg_roles as role on role.oid = kept.setrole
    where kept.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and lower(split_part(setting, '=', 1)) = 'timezone'
)

select whose, zone
from begun
where exists (
    -- A zone may be UTC in winter.
    select from generate_series(now(), now() + interval '11 months', interval '1 month') as at
    where timezone(zone, at) <> timezone('UTC', at)
)
order by whose, zone
