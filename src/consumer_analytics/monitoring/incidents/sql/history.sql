-- The latest changes of incidents, and whether their mails have gone out.
select
    change_id,
    incident_id,
    incidents.subject,
    changes.at,
    changes.what,
    changes.state,
    changes.cause,
    changes.measures,
    mail_id,
    mails.sent_at
from consumer_analytics_internal.incident_changes as changes
join consumer_analytics_internal.incidents using (incident_id)
left join consumer_analytics_internal.mails using (mail_id)
order by change_id desc
limit %(limit)s
