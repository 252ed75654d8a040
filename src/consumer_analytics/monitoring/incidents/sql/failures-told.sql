-- The message that has told of the same error in the same run a moment ago, by whichever channel.
select failures.mail_id
from consumer_analytics_internal.task_failures as failures
join consumer_analytics_internal.mails as written using (mail_id)
where failures.dag_id = %(dag_id)s
    and failures.run_id = %(run_id)s
    and failures.task_id <> %(task_id)s
    and failures.failed_at >= %(since)s
    and failures.error = %(error)s
    and exists (
        select
        from consumer_analytics_internal.mails as sent
        where sent.sent_at is not null
            and (sent.mail_id = written.mail_id or sent.content ->> 'key' = written.content ->> 'key')
    )
order by failures.failed_at desc
limit 1
