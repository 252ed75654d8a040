-- Up to where snapshots and revisions are there.
select
    coalesce((select max(analytics_id) from public.consumer_analytics), 0),
    coalesce((select max(revision_id) from public.consumer_analytics_revisions), 0)
