select count(*), min(created_at)
from consumer_analytics_internal.mails
where sent_at is null
