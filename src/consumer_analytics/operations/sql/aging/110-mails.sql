-- Mails that were sent long ago, and that nothing refers to any more. One that waits
-- for its server stays, whatever its age.
from consumer_analytics_internal.mails as aged
where aged.sent_at < %(before)s::timestamptz
    and not exists (
        select from consumer_analytics_internal.incident_changes as change
        where change.mail_id = aged.mail_id
    )
    and not exists (
        select from consumer_analytics_internal.task_failures as failure
        where failure.mail_id = aged.mail_id
    )
