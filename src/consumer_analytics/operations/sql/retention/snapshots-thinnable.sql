-- Instants whose snapshots the policy does without. Days and weeks are those of the
-- configured zone, each with the midnight that ends it: of each the last snapshot
-- stays, one of the whole system before one of some consumers only. The latest
-- snapshot stays whatever its age, and so do those that runs have not come to yet.
with instants as (
    select snapshot_timestamp as at, bool_or(consumer_id is null) as is_whole
    from public.consumer_analytics
    group by snapshot_timestamp
),

placed as (
    select
        at,
        is_whole,
        case
            when at <= %(daily_from)s::timestamptz
                then 'week ' || date_trunc('week', at at time zone %(zone)s - interval '1 microsecond')
            when at <= %(every_from)s::timestamptz
                then 'day ' || date_trunc('day', at at time zone %(zone)s - interval '1 microsecond')
        end as place
    from instants
),

ranked as (
    select
        at,
        place,
        row_number() over (partition by place order by is_whole desc, at desc) as rank
    from placed
)

select at
from ranked
where place is not null
    and rank > 1
    and at < (select max(snapshot_timestamp) from public.consumer_analytics where consumer_id is null)
    and at <= (
        select processed_through from consumer_analytics_internal.state where job_name = {job}
    )
order by at
