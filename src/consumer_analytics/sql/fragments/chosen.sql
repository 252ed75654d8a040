-- Notes of what has vanished that are meant: by UTC day, consumer and type.
(%(days)s::date[] is null or since::date = any(%(days)s::date[]))
and (%(first)s::date is null or since::date >= %(first)s::date)
and (%(last)s::date is null or since::date <= %(last)s::date)
and (%(consumers)s::text[] is null or coalesce(consumer_id::text, '(none)') = any(%(consumers)s::text[]))
and (%(types)s::text[] is null or event_type = any(%(types)s::text[]))
