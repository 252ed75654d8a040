-- The message about the same run, by the channels by which it has not gone out yet: it tells of
-- this failure, too. Whoever is sending it now holds its lock; then this waits, and finds it sent.
with written as (
    select mails.mail_id, mails.content ->> 'key' as key
    from consumer_analytics_internal.task_failures as failures
    join consumer_analytics_internal.mails using (mail_id)
    where failures.dag_id = %(dag_id)s and failures.run_id = %(run_id)s
    order by failures.failed_at desc
    limit 1
)

update consumer_analytics_internal.mails
set content = jsonb_set(content, '{{failures}}', content -> 'failures' || %(failure)s)
from written
where mails.sent_at is null
    and (mails.mail_id = written.mail_id or mails.content ->> 'key' = written.key)
returning mails.mail_id, coalesce(content ->> 'channel', 'mail')
