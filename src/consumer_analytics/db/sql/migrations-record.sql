-- What Alembic does not say in its row: of which file the migration was, by whom and when.
update consumer_analytics_internal.alembic_version
set migrated_at = now(),
    migrated_by = session_user,
    product_version = %(product)s,
    checksums = checksums || %(checksum)s::text
