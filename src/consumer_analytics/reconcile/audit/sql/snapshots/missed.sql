-- Where none of a consumer's rows is left: how many of the customers reported no event tells of. Creations that
-- were corrected do; and ends that nobody knew when the row was written: each with a deletion that has come since,
-- or of one whose row stood against it then.
select
    consumer_id,
    at,
    reported.total - counted.customers
    - greatest(reported.creations - counted.creations, 0)
    - least(news.n, greatest(counted.deletions - reported.deletions, 0))
    - news.of_rows_there as n
from counted
join reported using (consumer_id, at)
cross join lateral (
    select coalesce(max(revision.reported_until), reported.reported_at) as since
    from public.consumer_analytics_revisions as revision
    where revision.analytics_id = reported.analytics_id
) as written
cross join lateral (
    select
        count(distinct life.customer_id) filter (where seen.customer_id is null) as n,
        count(distinct life.customer_id) filter (where seen.customer_id is not null) as of_rows_there
    from audit_lives as life
    left join consumer_analytics_internal.deleted_customers as remembered
        on remembered.customer_id = life.customer_id and remembered.deleted_at = life.ended
    left join consumer_analytics_internal.contradicted_deletions as seen
        on seen.customer_id = life.customer_id and seen.deleted_at = life.ended
    where life.consumer_id = counted.consumer_id
        and life.has_deletion
        and life.ended < counted.at
        and (remembered.customer_id is null or remembered.known_since > written.since)
        -- Of one who was back by then they do not tell.
        and (remembered.reborn_from is distinct from 'row' or remembered.reborn_at >= counted.at)
        and not exists (
            select from audit_marks as mark
            where mark.customer_id = life.customer_id
                and mark.kind = 'creation'
                and mark.at >= life.ended
                and mark.at < counted.at
        )
) as news
where counted.may_be_held and not counted.is_frozen and reported.total > counted.customers
