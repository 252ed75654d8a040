-- Whether the row of a consumer, `owner`, has another window than the one that is `rendered`: what it says is
-- new is of its own.
exists (
    select
    from consumer_analytics_internal.written_apart as apart
    where apart.snapshot_timestamp = rendered.snapshot_timestamp
        and owner.consumer_id = any(apart.consumers)
        and to_json(apart.window_start) #>> '{{}}'
        <> rendered.metrics_json #>> '{{incremental_stats,window_start}}'
)
