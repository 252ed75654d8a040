-- Every counter; a sweep's time is when it was last counted.
select name, labels, n, extract(epoch from changed_at)::float8 as changed_at
from consumer_analytics_internal.counters
