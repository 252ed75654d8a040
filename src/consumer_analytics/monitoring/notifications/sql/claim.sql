-- The oldest mail that is due, for whoever gets its lock. The installation's own
-- beginning makes message ids differ from those of another database.
select
    mail_id,
    content,
    attempts,
    (
        select extract(epoch from installed_at)::bigint
        from consumer_analytics_internal.alembic_version
    ) as installation
from consumer_analytics_internal.mails
where sent_at is null and next_try_at <= %(now)s
order by mail_id
limit 1
for update of mails skip locked
