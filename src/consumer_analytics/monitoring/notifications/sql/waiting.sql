-- How many messages wait, and when the oldest of those that some channels have to send was written.
select
    count(*),
    min(created_at) filter (where coalesce(content ->> 'channel', 'mail') = any(%(channels)s))
from consumer_analytics_internal.mails
where sent_at is null
