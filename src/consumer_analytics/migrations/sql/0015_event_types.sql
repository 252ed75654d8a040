-- Which event types there are is asked by every run: the index is walked from one to the next,
-- where all totals were read. It names no count, so that counting up still touches no index.
create index event_totals_event_type_idx on consumer_analytics_internal.event_totals (event_type);
