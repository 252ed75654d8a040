-- How many customers of `known.consumer_id` have ended by an event before `known.at`, as its row did not know
-- when it was last written: those that their rows contradicted until then, and others.
select
    count(distinct life.customer_id) filter (where contradicted.customer_id is not null) as contradicted,
    count(distinct life.customer_id) filter (where contradicted.customer_id is null) as others
from public.consumer_analytics as said
join consumer_analytics_internal.deleted_customers as life
    on life.consumer_id = said.consumer_id
        and life.ended_by = 'event'
        and life.deleted_at < said.snapshot_timestamp
        -- Of one who was back by then it does not tell.
        and (life.reborn_from is null or life.reborn_at >= said.snapshot_timestamp)
left join consumer_analytics_internal.contradicted_deletions as contradicted
    on contradicted.customer_id = life.customer_id and contradicted.deleted_at = life.deleted_at
where said.consumer_id = known.consumer_id
    and said.snapshot_timestamp = known.at
    and life.known_since > coalesce(
        (
            select max(before.reported_until)
            from public.consumer_analytics_revisions as before
            where before.analytics_id = said.analytics_id
        ),
        said.created_at
    )
