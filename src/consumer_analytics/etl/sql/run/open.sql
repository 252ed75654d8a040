-- A run that has ended is opened again under its key; one that another step has opened meanwhile
-- stays as it is, and no row is answered.
insert into consumer_analytics_internal.runs
    (run_key, snapshot_source, state, requested_at, reached_at, named, held_back_by, session_pid, session_began)
select
    %(key)s, %(source)s, 'open', %(requested)s, %(reached)s, %(named)s, %(held_back_by)s,
    session.pid, session.backend_start
from (values (1)) as one (row)
left join pg_stat_activity as session on session.pid = pg_backend_pid() and %(whole)s
on conflict (run_key) do update set
    snapshot_source = excluded.snapshot_source,
    state = 'open',
    requested_at = excluded.requested_at,
    reached_at = excluded.reached_at,
    named = excluded.named,
    held_back_by = excluded.held_back_by,
    session_pid = excluded.session_pid,
    session_began = excluded.session_began,
    opened_at = clock_timestamp(),
    finished_at = null
where runs.state <> 'open'
returning run_id
