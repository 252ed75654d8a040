-- What a sweep has found; that it was done counts as well.
insert into consumer_analytics_internal.counters (name, labels, n)
values
    ('sweeps', '{{}}', 1),
    ('sweep_days', '{{}}', %(days_corrected)s),
    ('sweep_events', '{{found}}', %(events_found)s),
    ('sweep_events', '{{vanished}}', %(events_vanished)s),
    ('sweep_snapshots', '{{}}', %(snapshots_restated)s)
on conflict (name, labels) do update
set n = counters.n + excluded.n, changed_at = clock_timestamp()
