-- From when on capture has noted changes since the last clean audit: the first day, of notes that
-- runs have taken in, that wait for one, and of writers who are still at work.
select min(day)::timestamptz
from (
    select day
    from consumer_analytics_internal.noted_changes
    union all
    select day
    from consumer_analytics_internal.touched_days
    union all
    select first_day
    from consumer_analytics_internal.capture_unsure
) as noted
