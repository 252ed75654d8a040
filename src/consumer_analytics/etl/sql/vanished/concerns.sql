-- Whether anything that has vanished lies after one of these instants, or around it.
select exists (
    select
    from consumer_analytics_internal.vanished_events
    where until > %(first)s::timestamptz
)
