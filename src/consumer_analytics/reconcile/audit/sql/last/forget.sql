-- The last clean audit, and the notes that the new one has seen.
with audits as (
    delete from consumer_analytics_internal.clean_audits
),

snapshots as (
    delete from consumer_analytics_internal.audited_snapshots
)

delete from consumer_analytics_internal.noted_changes
where note_id = any(%(notes)s::bigint[])
