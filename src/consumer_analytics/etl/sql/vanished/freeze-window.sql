-- Where vanished events lie around the start of a window, nobody knows how many of them were new in
-- it: what was reported of the same window stays.
update rendered_snapshots as new
set metrics_json = jsonb_set(
    new.metrics_json,
    '{{incremental_stats,new_events_in_window}}',
    old.metrics_json #> '{{incremental_stats,new_events_in_window}}'
)
from public.consumer_analytics as old
where new.snapshot_timestamp = %(at)s::timestamptz
    and old.snapshot_timestamp = %(at)s::timestamptz
    and old.consumer_id is not distinct from new.consumer_id
    and old.metrics_json #> '{{incremental_stats,window_start}}' = new.metrics_json #> '{{incremental_stats,window_start}}'
    and jsonb_typeof(old.metrics_json #> '{{incremental_stats,new_events_in_window}}') = 'number'
    and exists (
        select
        from consumer_analytics_internal.vanished_events as noted
        where noted.since < %(start)s::timestamptz
            and noted.until > %(start)s::timestamptz
            and noted.until <= date_trunc('day', %(start)s::timestamptz) + interval '1 day'
            and noted.consumer_id is not null
            and (new.consumer_id is null or noted.consumer_id = new.consumer_id)
    )
