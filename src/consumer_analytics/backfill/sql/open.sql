insert into consumer_analytics_internal.backfills (
    start_date, end_date, period, timezone, consumers, snapshot_source, requested_by, periods, session_pid, session_tag
)
values (
    %(start)s, %(end)s, %(interval)s, %(timezone)s, %(consumers)s, %(source)s,
    %(who)s || ' (' || current_user || ')', %(periods)s, pg_backend_pid(), %(tag)s
)
returning backfill_id
