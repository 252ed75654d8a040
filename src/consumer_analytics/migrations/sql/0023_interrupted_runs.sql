-- A run that one session does from its beginning to its end is known by that session: where the
-- server has it no more, the run was killed. A process id alone is given again to others.
alter table consumer_analytics_internal.runs
add session_pid int,
add session_began timestamptz,
drop constraint runs_state_check,
add constraint runs_state_check check (state in ('open', 'success', 'failed', 'interrupted'));

-- The next run looks for those that were killed, among few.
create index runs_open_idx on consumer_analytics_internal.runs (run_id) where state = 'open';

-- What was killed before is known by its key: only the command line makes such.
update consumer_analytics_internal.runs
set state = 'interrupted',
    summary = '{"error_type": "Killed", "error": "its process ended without a word"}'
where state = 'open'
    and run_key like 'cli:%'
    and not exists (
        select from pg_stat_activity
        where datname = current_database() and application_name ~ '^consumer-analytics (run|up)'
    );
