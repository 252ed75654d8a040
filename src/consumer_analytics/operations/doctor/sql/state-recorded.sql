-- To where the last run had counted, as runs recorded it, and whether anything was counted. What ended
-- well counted up to where it came, or had come before.
select
    (select max(reached_at) from consumer_analytics_internal.runs where state = 'success'),
    exists (select from consumer_analytics_internal.event_days)
