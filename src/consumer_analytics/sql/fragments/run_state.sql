-- What became of a run: one that is open, and whose session the server has no more, was killed.
-- A login that may not see when other sessions began goes by the process alone.
case
    when run.state = 'open' and run.session_pid is not null and not exists (
        select from pg_stat_activity as activity
        where activity.pid = run.session_pid
            and coalesce(activity.backend_start, run.session_began) = run.session_began
    ) then 'interrupted'
    else run.state
end
