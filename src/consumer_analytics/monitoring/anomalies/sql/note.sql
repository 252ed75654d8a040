-- Something odd: new, or known and still there. What it was noticed by stays.
insert into consumer_analytics_internal.anomalies
    (consumer_id, kind, event_type, begins, ends, observed, expected, low, high, seen_at)
values (
    %(consumer)s, %(kind)s, %(event_type)s, %(begins)s, %(ends)s, %(observed)s, %(expected)s,
    %(low)s, %(high)s, %(at)s
)
on conflict (
    consumer_id, (case when kind = 'silent' then 'fewer' else kind end), coalesce(event_type, '')
)
where over_at is null
do update set seen_at = excluded.seen_at
