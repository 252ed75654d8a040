-- Add what events-changes found to its consumers' totals: one look for both the
-- totals that are there, nearly all, and those that are not.
merge into consumer_analytics_internal.event_totals as known
using (
    {changes}
) as change
    on known.consumer_id = change.consumer_id and known.event_type = change.event_type
when matched then update set n = known.n + change.n
when not matched then insert (consumer_id, event_type, n) values (change.consumer_id, change.event_type, change.n)
