-- What is remembered says something else from an instant on.
insert into consumer_analytics_internal.touched_days (day)
values (%(since)s::timestamptz::date)
