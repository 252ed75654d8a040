update consumer_analytics_internal.task_failures
set mail_id = %(mail_id)s
where dag_id = %(dag_id)s
    and run_id = %(run_id)s
    and task_id = %(task_id)s
    and try_number = %(try_number)s
