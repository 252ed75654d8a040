-- The figures of this moment (0025), as runs and audits tell them: a life that began and ended in one
-- microsecond is no sign that one was open when the same happens again. What tells that one was lies before
-- the first of these moments.
do $do$
declare
    definition text := pg_get_functiondef('consumer_analytics_internal.figures_at(timestamptz, uuid[])'::regprocedure);
    change record;
begin
    for change in
        select *
        from (
            values
                (
                    $$order by at) as place,
        is_both,$$,
                    $$order by at) as place,
        min(at) over (partition by customer_id) as first_at,
        is_both,$$
                ),
                (
                    $$one.customer_id = edges.customer_id and one.at < edges.at)$$,
                    $$one.customer_id = edges.customer_id and one.at < moments.first_at)$$
                ),
                (
                    $$one.customer_id = edges.customer_id and one.created_at < edges.at$$,
                    $$one.customer_id = edges.customer_id and one.created_at < moments.first_at$$
                ),
                (
                    $$and one.born_from = 'row'
                        and one.created_at < edges.at$$,
                    $$and one.born_from = 'row'
                        and one.created_at < moments.first_at$$
                )
        ) as changes (was, is_now)
    loop
        if strpos(definition, change.is_now) > 0 then
            continue;
        end if;
        if strpos(definition, change.was) = 0 then
            raise exception 'the figures of this moment are not as an earlier migration made them: %', change.was;
        end if;
        definition := replace(definition, change.was, change.is_now);
    end loop;
    execute definition;
end
$do$;
