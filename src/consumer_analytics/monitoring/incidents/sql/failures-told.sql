-- The mail that has told of the same error in the same run a moment ago.
select failures.mail_id
from consumer_analytics_internal.task_failures as failures
join consumer_analytics_internal.mails using (mail_id)
where failures.dag_id = %(dag_id)s
    and failures.run_id = %(run_id)s
    and failures.task_id <> %(task_id)s
    and failures.failed_at >= %(since)s
    and failures.error = %(error)s
    and mails.sent_at is not null
order by failures.failed_at desc
limit 1
