-- A message to be sent by a channel. One with the same key has been told already. Where others
-- wait for the channel's server it waits with them, so that all go out in their order.
insert into consumer_analytics_internal.mails (key, content, created_at, next_try_at)
values (
    %(key)s,
    %(content)s,
    %(at)s,
    greatest(
        %(at)s,
        (
            select min(next_try_at)
            from consumer_analytics_internal.mails
            where sent_at is null
                and attempts > 0
                and coalesce(content ->> 'channel', 'mail') = %(channel)s
        )
    )
)
on conflict (key) do nothing
returning mail_id
