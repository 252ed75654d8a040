-- Days whose counts are what they were though capture noted events of them: something was changed in
-- place, as whom an event is about. Not where rows have vanished: there it may have been that.
select array(
    select distinct noted.day
    from consumer_analytics_internal.touched_days as noted
    where not noted.restates
        and not noted.customers
        and isfinite(noted.day)
        and noted.day < %(known)s::timestamptz
        and not exists (select from pg_temp.event_changes as changed where changed.day = noted.day)
        and not exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.since >= noted.day::timestamptz
                and vanished.since < (noted.day + 1)::timestamptz
        )
)
