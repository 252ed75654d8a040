-- Whether what was known of an ended life stays, where the source tells less than it did: what told it
-- has vanished, or nobody has judged yet where it is.
select
    coalesce(
        known.born_from in ('creation', 'event')
        and true_now.born_from in ('event', 'deletion', 'nothing')
        and coalesce(known.created_at < true_now.created_at, true)
        and (
            exists (
                select from lost as vanished
                where vanished.since <= known.created_at
                    and vanished.until > known.created_at
                    and vanished.until <= known.created_at::date + 1
                    and not (vanished.is_accepted and known.has_course)
            )
            -- What is there still tells what it can tell, perhaps of another life.
            or (
                known.has_birth
                and not exists (
                    select from {told_events} as event
                    where event.customer_id = known.customer_id and event.created_at = known.created_at
                )
            )
        ),
        false
    ) as birth,
    coalesce(known.consumer_id is not null and true_now.consumer_from in ('lifecycle', 'event', 'nothing'), false)
    and (known.consumer_from <> 'event' or true_now.consumer_from <> 'lifecycle')
    and (
        exists (
            select from lost as vanished
            where vanished.consumer_id = known.consumer_id
                and vanished.since <= known.deleted_at
                and (
                    known.consumer_from = 'event'
                    or vanished.event_type
                    in ({customer_creation}, {customer_status_change}, {customer_deletion})
                )
                -- What tells less does not tell it instead.
                and (
                    vanished.until > true_now.consumer_at
                    or (known.consumer_from <> 'event' and true_now.consumer_from <> 'lifecycle')
                )
                and not (vanished.is_accepted and known.has_course)
        )
        or (
            known.has_words
            and not exists (
                select from {told_events} as event
                where event.customer_id = known.customer_id
                    and event.consumer_id = known.consumer_id
                    and event.created_at <= known.deleted_at
            )
        )
    ) as consumer,
    coalesce(known.ended_by = 'event' and known.status is not null and true_now.status_at is not null, false)
    and (
        (known.is_vanished and not known.is_told)
        or exists (
            select from lost as vanished
            where vanished.event_type in ({customer_creation}, {customer_status_change})
                and vanished.since < known.deleted_at
                and vanished.until > coalesce(true_now.previous_end, '-infinity')
                and vanished.until > true_now.status_at
                and not (vanished.is_accepted and known.has_course)
        )
        or (
            known.has_words
            and (said_once.at <= known.deleted_at) is not true
        )
    ) as status
