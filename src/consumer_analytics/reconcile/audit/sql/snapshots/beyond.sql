-- Rows of instants that no calendar of ours has, before Christ or after 9999: nobody has written them.
select consumer_id::text, snapshot_timestamp
from public.consumer_analytics
where snapshot_timestamp >= %(lower)s::timestamptz
    and snapshot_timestamp <= %(upper)s::timestamptz
    and isfinite(snapshot_timestamp)
    and (
        snapshot_timestamp < '0001-01-01 00:00:00+00'
        or snapshot_timestamp > '9999-12-31 23:59:59.999999+00'
    )
