-- Runs are kept for good, and health looks at two of them, every few minutes: the last one that
-- finished, and the last one for an instant that the watermark has not reached.
create index runs_finished_at_idx on consumer_analytics_internal.runs (finished_at);
create index runs_requested_at_idx on consumer_analytics_internal.runs (requested_at);
