-- Where vanished events lie around the start of a window, nobody knows how many of them were new in
-- it: of that one figure the row is believed.
with cut as materialized (
    select distinct scopes.at, noted.consumer_id
    from audit_scopes as scopes
    join consumer_analytics_internal.vanished_events as noted
        on noted.since < scopes.window_start and noted.until > scopes.window_start
    where scopes.at = any(%(instants)s::timestamptz[]) and noted.consumer_id is not null
)

update audit_figures as figures
set figures = jsonb_set(
    figures.figures,
    '{{incremental_stats,new_events_in_window}}',
    kept.metrics_json #> '{{incremental_stats,new_events_in_window}}'
)
from public.consumer_analytics as kept
where kept.snapshot_timestamp = figures.at
    and kept.consumer_id is not distinct from figures.consumer_id
    and figures.at in (select at from cut)
    and (figures.consumer_id is null or (figures.consumer_id, figures.at) in (select consumer_id, at from cut))
    and jsonb_typeof(kept.metrics_json #> '{{incremental_stats,new_events_in_window}}') = 'number'
