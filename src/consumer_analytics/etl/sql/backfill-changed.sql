-- Tell backfills at work that counts which they may have read have changed.
update consumer_analytics_internal.backfills
set changed_after = least(changed_after, %(after)s::timestamptz)
where state = 'running'
