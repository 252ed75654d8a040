-- A run that failed before it was opened: as open, so that it ends as others do. One that another
-- step has opened, or an earlier try, is there.
insert into consumer_analytics_internal.runs
    (run_key, snapshot_source, state, requested_at, reached_at, named)
values (
    %(key)s,
    %(source)s,
    'open',
    coalesce(%(requested)s::timestamptz, statement_timestamp()),
    coalesce(%(requested)s::timestamptz, statement_timestamp()),
    %(named)s
)
on conflict (run_key) do nothing
