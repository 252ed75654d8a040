-- The mail about the same run that has not gone out yet: it tells of this failure, too.
-- Whoever is sending it now holds its lock; then this waits, and finds it sent.
update consumer_analytics_internal.mails
set content = jsonb_set(content, '{{failures}}', content -> 'failures' || %(failure)s)
where sent_at is null
    and mail_id = (
        select mail_id
        from consumer_analytics_internal.task_failures
        where dag_id = %(dag_id)s and run_id = %(run_id)s and mail_id is not null
        order by failed_at desc
        limit 1
    )
returning mail_id
