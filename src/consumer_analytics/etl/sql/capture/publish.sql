-- From now on rows from before this instant leave a note. Never lower than it was.
select setval(
    'consumer_analytics_internal.capture_threshold',
    greatest(
        last_value,
        case when isfinite(%(until)s::timestamptz) then (extract(epoch from %(until)s::timestamptz) * 1000000)::bigint end
    )
)
from consumer_analytics_internal.capture_threshold
