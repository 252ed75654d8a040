event_id in (select event_id from pg_temp.archive_strays)
