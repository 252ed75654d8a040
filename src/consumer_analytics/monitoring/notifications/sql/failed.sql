-- A message that could not be sent: it is tried again later. Where the channel itself cannot
-- be used its others wait as well, so that all go out in their order; a message that another
-- sender has in hand is left alone.
with waiting as (
    select mail_id
    from consumer_analytics_internal.mails
    where sent_at is null
        and (
            mail_id = %(mail_id)s
            or (%(all)s and coalesce(content ->> 'channel', 'mail') = %(channel)s)
        )
    for update skip locked
)

update consumer_analytics_internal.mails
set
    attempts = attempts + case when mails.mail_id = %(mail_id)s then 1 else 0 end,
    next_try_at = greatest(next_try_at, %(again)s),
    last_error = case when mails.mail_id = %(mail_id)s then %(error)s else last_error end
from waiting
where mails.mail_id = waiting.mail_id
