-- Notes of later days stay: this run may have read before they were made.
with changed as (
    delete from consumer_analytics_internal.changed_events
    where day < %(processed_through)s
)

delete from consumer_analytics_internal.touched_days
where day < %(processed_through)s
