-- What has come together at each place that is asked for, of whoever may have a row.
select
    is_whole, consumer_id, place, events, customers, dated, born_us, undated, rest_types, rest_statuses
    {types} {statuses}
from (
    select
        is_whole,
        consumer_id,
        place,
        -- Several may be there, of several days.
        is_asked and lead(place) over one is distinct from place as is_last,
        pg_temp.audit_sum(events) over one as events,
        pg_temp.audit_sum(customers) over one as customers,
        pg_temp.audit_sum(dated) over one as dated,
        sum(born_us) over one as born_us,
        pg_temp.audit_sum(undated) over one as undated,
        {rest_types} as rest_types,
        {rest_statuses} as rest_statuses
        {summed}
    from (
        select *
        from changes
        union all
        select
            is_whole, consumer_id, places.place, 0, 0, 0, 0, 0, null, null {no_types} {no_statuses}, true
        from known
        cross join places
        where not exists (
            select
            from changes as asked
            where asked.is_asked and asked.consumer_id = known.consumer_id and asked.place = places.place
        )
    ) as rows
    window one as (partition by consumer_id, is_whole order by place, is_asked rows unbounded preceding)
) as summed
where is_last
