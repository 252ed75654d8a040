select run_id, run_key, snapshot_source, requested_at, reached_at, named, held_back_by
from consumer_analytics_internal.runs
where run_key = %(key)s and state = coalesce(%(state)s, state)
