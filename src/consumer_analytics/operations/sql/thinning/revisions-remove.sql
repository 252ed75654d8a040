-- Remove what snapshots that were thinned just now said before.
select removed, bytes
from consumer_analytics_internal.forget_thinned_revisions(%(instants)s::timestamptz[])
