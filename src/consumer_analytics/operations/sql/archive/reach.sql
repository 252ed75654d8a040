-- Days before this one are the archive's.
insert into consumer_analytics_internal.archive as known (first_day)
values (%(first_day)s)
on conflict (is_only) do update
set first_day = excluded.first_day, changed_at = clock_timestamp()
where known.first_day < excluded.first_day
