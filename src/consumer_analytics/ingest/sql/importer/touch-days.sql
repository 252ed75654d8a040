-- Days below what was processed that new rows fall into.
insert into consumer_analytics_internal.touched_days (consumer_id, day)
select distinct consumer_id, (created_at at time zone 'UTC')::date
from (
    {rows}
) as arrived (consumer_id, created_at)
where created_at < %(processed_through)s
