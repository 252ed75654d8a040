-- What the snapshot of an instant does not show any more.
update consumer_analytics_internal.anomalies
set over_at = %(at)s
where over_at is null and seen_at < %(at)s
