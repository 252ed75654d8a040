-- Customers whose row has no time live by what events tell of their birth. It is remembered, so that
-- no event that vanishes afterwards changes who was there.
create table consumer_analytics_internal.undated_births (
    customer_id uuid primary key,
    born_at timestamptz not null,
    born_from text not null check (born_from in ('creation', 'event'))
);

-- Who remembers ended lives writes it.
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.deleted_customers'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant select, insert, update, delete on consumer_analytics_internal.undated_births to ' || role;
    end loop;
end
$$;

-- Lives that ended before this instant were taken in when all that may have told their births had been looked
-- at. Those that were taken in since without anything that tells it are worked out again where
-- creation events turn out to have vanished.
alter table consumer_analytics_internal.state
    add births_looked_through timestamptz not null default '-infinity';
update consumer_analytics_internal.state
set births_looked_through = processed_through;

-- The figures of this moment (0025, 0033) ask it, too; where creation events of its consumer have vanished
-- and nothing tells a birth, the customer counts.
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
                    $$                    when life.row_created_at >= life.previous_end then life.row_created_at
                    else coalesce(
                        least(creation.at, begun.at), nullif(life.opened_at, '-infinity'), first_of_any.at, 'infinity'
                    )$$,
                    $$                    when life.row_created_at >= life.previous_end then life.row_created_at
                    when undated.born_from = 'creation' then least(undated.born_at, creation.at)
                    when least(creation.at, begun.at) is null and life.opened_at = '-infinity' and undated.born_at is not null
                        then least(undated.born_at, first_of_any.at)
                    else coalesce(
                        least(creation.at, begun.at),
                        nullif(life.opened_at, '-infinity'),
                        first_of_any.at,
                        case when life.row_created_at is null and creations.have_vanished then '-infinity'::timestamptz
                            else 'infinity'
                        end
                    )$$
                ),
                (
                    $$    left join affected
        on affected.consumer_id = coalesce($$,
                    $$    -- What is remembered of one whose row has no time: a run looks again at it where capture noted anything.
    left join lateral (
        select known.born_at, known.born_from
        from consumer_analytics_internal.undated_births as known
        where known.customer_id = life.customer_id
            and known.born_at > life.previous_end
            and (
                known.born_at >= life.opened_at
                or life.opened_at = '-infinity'
            )
            and not exists (
                select from consumer_analytics_internal.touched_customers as note
                where note.customer_id = known.customer_id and note.event_at::date = known.born_at::date
            )
            and known.born_at::date not in (select day from consumer_analytics_internal.changed_events)
    ) as undated on life.ended is null and life.row_created_at is null
    left join lateral (
        select exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type = %10$L
                and vanished.consumer_id is not distinct from life.consumer_id
        ) as have_vanished
    ) as creations on life.ended is null and life.row_created_at is null
    left join affected
        on affected.consumer_id = coalesce($$
                )
        ) as changes (was, is_now)
    loop
        if strpos(definition, change.was) = 0 then
            raise exception 'the figures of this moment are not as an earlier migration made them: %', change.was;
        end if;
        definition := replace(definition, change.was, change.is_now);
    end loop;
    execute definition;
end
$do$;
