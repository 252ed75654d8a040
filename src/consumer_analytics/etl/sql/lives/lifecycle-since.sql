-- Of the lifecycle events that were read those from an instant on.
(select * from {apart} where at >= {first}::timestamptz)
