-- Whether what told a birth that is known has vanished, accepted or not.
exists (
    select from lost
    where (known.born_from = 'event' or lost.event_type = {customer_creation})
        and lost.since <= known.created_at
        and lost.until > known.created_at
        and lost.until <= known.created_at::date + 1
)
