-- What is remembered says something else from an instant on.
insert into consumer_analytics_internal.touched_days (day, restates, customers)
values (%(since)s::timestamptz::date, false, true)
