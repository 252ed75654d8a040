-- How many events were new in a window around whose start some have vanished is taken on trust.
update audit_figures as figures
set figures = jsonb_set(
    figures.figures,
    '{{incremental_stats,new_events_in_window}}',
    old.metrics_json #> '{{incremental_stats,new_events_in_window}}'
)
from public.consumer_analytics as old
join unnest(%(snapshots)s::timestamptz[], %(starts)s::timestamptz[]) as cut (at, start)
    on cut.at = old.snapshot_timestamp
where old.snapshot_timestamp = figures.snapshot_timestamp
    and old.consumer_id is not distinct from figures.consumer_id
    and figures.figures #> '{{incremental_stats,new_events_in_window}}' is not null
    and old.metrics_json #> '{{incremental_stats,new_events_in_window}}' is not null
    and exists (
        select
        from consumer_analytics_internal.vanished_events as noted
        where noted.since < cut.start
            and noted.until > cut.start
            and noted.consumer_id is not null
            and (figures.consumer_id is null or noted.consumer_id = figures.consumer_id)
    )
