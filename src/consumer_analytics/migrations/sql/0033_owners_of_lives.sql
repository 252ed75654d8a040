-- A consumer that is not registered has its row for a customer whose life is over, too. Of which consumers
-- lives are remembered, and since when, is looked up from one to the next.
create index deleted_customers_owner_idx
    on consumer_analytics_internal.deleted_customers (consumer_id, created_at nulls first)
    where created_at is distinct from deleted_at and born_from is not null;

-- The figures of this moment (0025), as runs and audits tell them:
-- - what somebody has accepted of what vanished is counted no more, and what it told of a customer is
--   remembered all the same;
-- - a return whose creation has vanished began then, also where another creation comes;
-- - of several creations in a life the last that can be read tells the status of its end;
-- - a creation may follow a deletion that the row has contradicted until then;
-- - a change between two lives tells of the next one;
-- - of rows that capture saw go more than once events tell in the order of both;
-- - a consumer has its row for customers whose lives are over.
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
                    $$
with since as (
    select$$,
                    $$
with recursive since as (
    select$$
                ),
                (
                    $$-- With ends and returns that no event in the source tells of.
marks as materialized ($$,
                    $$-- Events that have vanished, also those that somebody has accepted since.
lost as materialized (
    select consumer_id, event_type, since, until
    from consumer_analytics_internal.vanished_events
    union all
    select consumer_id, event_type, since, until
    from consumer_analytics_internal.accepted_events
),

-- With ends and returns that no event in the source tells of.
marks as materialized ($$
                ),
                (
                    $$remembered as materialized (
    select *
    from consumer_analytics_internal.deleted_customers
    where customer_id in (select customer_id from concerned)
),$$,
                    $$-- Rows that capture saw go, and of which a deletion tells: in the order of both, as a run takes them.
explained as (
    select ends.customer_id, ends.deleted_at, deletions.at
    from (
        select
            known.customer_id,
            known.deleted_at,
            row_number() over (partition by known.customer_id order by known.deleted_at) as place
        from consumer_analytics_internal.deleted_customers as known
        where known.customer_id in (select customer_id from concerned)
            and known.ended_by = 'row'
            and (
                exists (select from %8$s as today where today.customer_id = known.customer_id)
                or exists (
                    select from consumer_analytics_internal.deleted_customers as later
                    where later.customer_id = known.customer_id
                        and later.ended_by = 'row'
                        and later.deleted_at > known.deleted_at
                )
            )
    ) as ends
    join (
        select customer_id, at, row_number() over (partition by customer_id order by at) as place
        from (
            select distinct customer_id, at
            from told
            where kind = 'deletion'
                and not exists (
                    select from consumer_analytics_internal.deleted_customers as known
                    where known.customer_id = told.customer_id
                        and known.deleted_at = told.at
                        and known.ended_by = 'event'
                )
        ) as unknown
    ) as deletions using (customer_id, place)
    where deletions.at <= ends.deleted_at
),

remembered as materialized (
    select
        known.customer_id,
        coalesce(explained.at, known.deleted_at) as deleted_at,
        known.ended_by,
        known.created_at,
        known.born_from,
        known.consumer_id,
        known.consumer_from,
        known.status,
        known.row_status,
        case when explained.at is null then known.reborn_at end as reborn_at,
        case when explained.at is null then known.reborn_from end as reborn_from
    from consumer_analytics_internal.deleted_customers as known
    left join explained
        on explained.customer_id = known.customer_id and explained.deleted_at = known.deleted_at
    where known.customer_id in (select customer_id from concerned)
),$$
                ),
                (
                    $$        ended_by = 'row'
        or exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type$$,
                    $$        ended_by = 'row'
        -- A run looks again at those of whom something is new; a sweep at the others.
        or not exists (select from recent where recent.customer_id = remembered.customer_id)
        or exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type$$
                ),
                (
                    $$                    else coalesce(creation.at, nullif(life.opened_at, '-infinity'), first_of_any.at, 'infinity')$$,
                    $$                    else coalesce(
                        least(creation.at, begun.at), nullif(life.opened_at, '-infinity'), first_of_any.at, 'infinity'
                    )$$
                ),
                (
                    $$            when affected.since is not null and known.born_from = 'creation' then least(known.created_at, creation.at)$$,
                    $$            when (affected.since is not null or teller.has_vanished) and known.born_from = 'creation'
                then least(known.created_at, creation.at)$$
                ),
                (
                    $$            when affected.since is not null and known.born_from in ('event', 'deletion')$$,
                    $$            when (affected.since is not null or teller.has_vanished) and known.born_from in ('event', 'deletion')$$
                ),
                (
                    $$        creation.at as creation_at,
        creation.status as creation_status
    from every_life as life$$,
                    $$        creation.at as creation_at,
        creation.status as creation_status,
        created.status as created_as
    from every_life as life$$
                ),
                (
                    $$    left join lateral (
        select mark.consumer_id
        from marks as mark$$,
                    $$    -- A creation that has vanished and is remembered: one that comes later moves nothing.
    left join lateral (
        select before.reborn_at as at
        from remembered as before
        where before.customer_id = life.customer_id
            and before.reborn_at = life.opened_at
            and before.reborn_from = 'creation'
        limit 1
    ) as begun on true
    -- Of several the last one whose status can be read.
    left join lateral (
        select mark.status
        from marks as mark
        where mark.customer_id = life.customer_id
            and mark.kind = 'creation'
            and mark.status is not null
            and mark.at >= greatest(life.previous_end, life.opened_at)
            and mark.at <= coalesce(life.ended, 'infinity')
        order by mark.at desc, mark.event_id desc
        limit 1
    ) as created on true
    left join lateral (
        select mark.consumer_id
        from marks as mark$$
                ),
                (
                    $$        and affected.since < life.ended
),$$,
                    $$        and affected.since < life.ended
    -- Whether what told the birth may have vanished: it can have been another consumer's event.
    left join lateral (
        select exists (
            select from lost
            where lost.since <= known.created_at and lost.until > known.created_at
        ) as has_vanished
    ) as teller on known.born_from in ('creation', 'event')
),

-- Consumers of lives that are remembered, each with the first birth: the index is walked.
life_owners (consumer_id, since) as (
    (
        select life.consumer_id, coalesce(life.created_at, '-infinity') as since
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id is not null
            and life.born_from is not null
            and life.created_at is distinct from life.deleted_at
            and not exists (
                select from %8$s as today
                where today.customer_id = life.customer_id
                    and (today.created_at < life.deleted_at or today.created_at is null)
                    and life.reborn_at is null
            )
        order by life.consumer_id, life.created_at nulls first
        limit 1
    )
    union all
    select next.consumer_id, next.since
    from life_owners
    cross join lateral (
        select life.consumer_id, coalesce(life.created_at, '-infinity') as since
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id > life_owners.consumer_id
            and life.born_from is not null
            and life.created_at is distinct from life.deleted_at
            and not exists (
                select from %8$s as today
                where today.customer_id = life.customer_id
                    and (today.created_at < life.deleted_at or today.created_at is null)
                    and life.reborn_at is null
            )
        order by life.consumer_id, life.created_at nulls first
        limit 1
    ) as next
),$$
                ),
                (
                    $$        and (
            event_type = %12$L
            or is_later$$,
                    $$        and (
            event_type = %12$L
            or is_later
            -- It may follow a deletion that the row has contradicted until then.
            or (
                event_type = %10$L
                and exists (
                    select from %8$s as today
                    where today.customer_id = recent.customer_id
                        and (today.created_at < %1$L::timestamptz or today.created_at is null)
                )
            )$$
                ),
                (
                    $$        and mark.at >= life.opened_at
        and mark.at <= life.ended
    where mark.kind$$,
                    $$        and mark.at <= life.ended
    where mark.kind$$
                ),
                (
                    $$            and mark.at > life.previous_end
            and mark.at >= life.opened_at
            and mark.at <= life.ended
        order by mark.at desc, is_end desc$$,
                    $$            and mark.at > life.previous_end
            and mark.at <= life.ended
        order by mark.at desc, is_end desc$$
                ),
                (
                    $$        coalesce(life.status, last.new_status, life.creation_status, '') as last_status$$,
                    $$        coalesce(life.status, last.new_status, life.created_as, '') as last_status$$
                ),
                (
                    $$        union select consumer_id from by_status where n > 0
    ) as listed$$,
                    $$        union select consumer_id from by_status where n > 0
        union select consumer_id from life_owners where since < %3$L::timestamptz
        union
        select consumer_id
        from lives
        where coalesce(born, '-infinity') < least(ended, %3$L::timestamptz)
    ) as listed$$
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
