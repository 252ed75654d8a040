-- Who moved the watermark, as system user and database login, and why.
insert into consumer_analytics_internal.watermark_changes
    (job_name, changed_by, from_timestamp, to_timestamp, reason)
values ({job}, %(who)s || ' (' || current_user || ')', %(from)s, %(to)s, %(reason)s)
