-- Alembic's row is the one record of what a database has. It says now what a table of ours said
-- beside it: of which files the migrations were, since when the product is installed, who
-- migrated last, and by which version.
alter table consumer_analytics_internal.alembic_version
    add installed_at timestamptz,
    add migrated_at timestamptz,
    add migrated_by text,
    add product_version text,
    -- SHA-256 of each migration's file, in their order, hexadecimal.
    add checksums text[];

update consumer_analytics_internal.alembic_version
set installed_at = known.installed_at,
    migrated_at = known.migrated_at,
    migrated_by = known.migrated_by,
    product_version = known.product_version,
    checksums = known.checksums
from (
    select
        min(applied_at) as installed_at,
        max(applied_at) as migrated_at,
        (array_agg(applied_by order by version desc))[1] as migrated_by,
        (array_agg(product_version order by version desc))[1] as product_version,
        array_agg(checksum order by version) as checksums
    from consumer_analytics_internal.migrations
) as known;

alter table consumer_analytics_internal.alembic_version
    alter installed_at set not null,
    alter migrated_at set not null,
    alter migrated_by set not null,
    alter product_version set not null,
    alter checksums set not null;

-- Who could read the one reads the other.
do $$
declare
    reader text;
begin
    for reader in
        select case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.migrations'::regclass
            and acl.privilege_type = 'SELECT'
            and acl.grantee <> class.relowner
    loop
        execute 'grant select on consumer_analytics_internal.alembic_version to ' || reader;
    end loop;
end
$$;

drop table consumer_analytics_internal.migrations;
