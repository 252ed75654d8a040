select count(*)
from public.consumer_analytics_revisions
