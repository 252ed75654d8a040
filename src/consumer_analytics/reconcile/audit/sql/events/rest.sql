-- What changes among the events whose types have no column, by consumer and place, and for all
-- consumers together.
insert into audit_changes (is_whole, consumer_id, place, rest_types)
-- Each consumer's types, and each consumer, by a number.
with kinds as materialized (
    select
        consumer_id,
        event_type,
        row_number() over () as kind,
        dense_rank() over (order by consumer_id) as owner
    from (select distinct consumer_id, event_type from audit_rest) as pairs
),

sums as (
    select
        owner,
        consumer_id,
        event_type,
        place,
        n,
        pg_temp.audit_sum(n) over (partition by kind order by place) as there
    from (
        select kinds.*, place, n
        from audit_rest
        join kinds
            on kinds.event_type = audit_rest.event_type
                and coalesce(kinds.consumer_id, '00000000-0000-0000-0000-000000000000')
                = coalesce(audit_rest.consumer_id, '00000000-0000-0000-0000-000000000000')
                and (kinds.consumer_id is null) = (audit_rest.consumer_id is null)
    ) as counts
)

select
    false,
    consumer_id,
    place,
    jsonb_object_agg(event_type, there) filter (where there > 0)
from (
    -- In order, so that one document after the other is put together, not all at once.
    select *
    from sums
    order by place, owner
    offset 0
) as ordered
group by place, owner, consumer_id
union all
select
    true,
    null,
    place,
    jsonb_object_agg(event_type, there) filter (where there > 0)
from (
    select
        event_type,
        place,
        sum(sum(n)) over (partition by event_type order by place)::bigint as there
    from audit_rest
    where consumer_id is not null
    group by event_type, place
) as whole
group by place
