-- Instants of which rows were written or restated since they were last read.
select snapshot_timestamp
from public.consumer_analytics
where analytics_id > %(rows)s
union
select snapshot_timestamp
from public.consumer_analytics_revisions
where revision_id > %(revisions)s
