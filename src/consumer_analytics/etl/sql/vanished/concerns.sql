-- Whether anything that has vanished lies after one of these instants, around it, or up to it: there
-- it may have been divided.
select exists (
    select
    from consumer_analytics_internal.vanished_events
    where until >= %(first)s::timestamptz
)
