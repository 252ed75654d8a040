-- The figures of this moment (0025), as runs and audits tell them: a row that came back under a time of its
-- own began a life there, also where a deletion has ended it since and a creation followed.
do $do$
declare
    definition text := pg_get_functiondef('consumer_analytics_internal.figures_at(timestamptz, uuid[])'::regprocedure);
    was constant text := $$firsts as materialized (
    select distinct on (customer_id, at, kind) *
    from marks
    where kind <> 'change'
        and customer_id in$$;
    is_now constant text := $$returned as materialized (
    select customer_id, created_at as at
    from rows_now as today
    cross join lateral (
        select
            max(at) filter (where kind <> 'creation' and at <= created_at) as end_before,
            max(at) filter (where kind = 'creation' and at <= created_at) as begun_before,
            min(at) filter (where kind = 'creation' and at > created_at) as begun_after,
            max(at) filter (where kind <> 'creation' and at > created_at) as last_end
        from marks
        where marks.customer_id = today.customer_id and kind in ('creation', 'deletion', 'gone')
    ) as around
    where end_before >= coalesce(begun_before, '-infinity')
        and (last_end >= begun_after) is not true
        and last_end is not null
),

firsts as materialized (
    select distinct on (customer_id, at, kind) *
    from (
        select * from marks
        where kind <> 'change'
        union all
        select customer_id, at, 'back', null, null, null, null, null
        from returned
    ) as known
    where customer_id in$$;
begin
    if strpos(definition, is_now) > 0 then
        return;
    end if;
    if strpos(definition, was) = 0 then
        raise exception 'the figures of this moment are not as an earlier migration made them: %', was;
    end if;
    execute replace(definition, was, is_now);
end
$do$;
