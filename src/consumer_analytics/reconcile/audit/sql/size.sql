-- About how much work an audit is: rows to compare, so many events being as much as a row.
select
    (
        select count(*)
        from consumer_analytics_internal.written_snapshots
        where snapshot_timestamp >= %(lower)s::timestamptz and snapshot_timestamp <= %(upper)s::timestamptz
    )
    * (select count(*) from {consumers} as consumers)
    + (select coalesce(sum(n), 0) from consumer_analytics_internal.event_totals) / %(events)s
