-- Notes of later days stay: this run may have read before they were made.
delete from consumer_analytics_internal.touched_days
where day < %(processed_through)s
