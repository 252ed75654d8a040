-- The checksums of the files, as they were recorded before 0016, and the version that came last.
select
    coalesce((array_agg(product_version order by version desc))[1], '') as product_version,
    coalesce(array_agg(checksum order by version), '{{}}') as checksums
from consumer_analytics_internal.migrations
