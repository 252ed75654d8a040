-- Whether anything that has vanished lies after one of these instants, around it, or up to it: there
-- it may have been divided, as it may anywhere before it in its day.
select exists (
    select
    from consumer_analytics_internal.vanished_events
    where until >= least(
        %(first)s::timestamptz, date_trunc('day', %(first)s::timestamptz) + interval '1 microsecond'
    )
)
