-- A channel's oldest message that is due, for whoever gets its lock. One that names no channel is
-- a mail: it was written when there was no other. The installation's own beginning makes message
-- ids differ from those of another database.
select
    mail_id,
    content,
    attempts,
    (
        select extract(epoch from installed_at)::bigint
        from consumer_analytics_internal.alembic_version
    ) as installation
from consumer_analytics_internal.mails
where sent_at is null
    and next_try_at <= %(now)s
    and coalesce(content ->> 'channel', 'mail') = %(channel)s
order by mail_id
limit 1
for update of mails skip locked
