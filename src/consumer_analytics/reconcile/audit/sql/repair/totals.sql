-- Make the totals the sum of the days again.
with sums as (
    select consumer_id, event_type, consumer_analytics_internal.total(n) as n
    from consumer_analytics_internal.event_days
    group by consumer_id, event_type
),

gone as (
    delete from consumer_analytics_internal.event_totals as total
    where not exists (
        select from sums
        where sums.event_type = total.event_type and sums.consumer_id is not distinct from total.consumer_id
    )
    returning 1
),

corrected as (
    insert into consumer_analytics_internal.event_totals (consumer_id, event_type, n)
    select consumer_id, event_type, n
    from sums
    where not exists (
        select from consumer_analytics_internal.event_totals as total
        where total.event_type = sums.event_type
            and total.consumer_id is not distinct from sums.consumer_id
            and total.n = sums.n
    )
    on conflict (consumer_id, event_type) do update set n = excluded.n
    returning 1
)

select (select count(*) from gone) + (select count(*) from corrected)
