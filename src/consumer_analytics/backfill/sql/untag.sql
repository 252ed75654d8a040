-- The session no longer works on it.
select pg_advisory_unlock_shared(%(tag)s::int, session_tag)
from consumer_analytics_internal.backfills
where backfill_id = %(id)s and session_pid = pg_backend_pid()
