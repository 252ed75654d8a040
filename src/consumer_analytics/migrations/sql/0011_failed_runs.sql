-- Failed runs are few among many: they are shown without reading the others.
create index runs_failed_idx on consumer_analytics_internal.runs (opened_at)
    where state = 'failed';
