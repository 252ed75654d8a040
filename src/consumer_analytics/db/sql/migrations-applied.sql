-- Alembic's row with what it has of ours: before 0016 that was a table beside it.
select
    version_num,
    to_jsonb(record) ->> 'product_version' as product_version,
    to_jsonb(record) -> 'checksums' as checksums
from consumer_analytics_internal.alembic_version as record
