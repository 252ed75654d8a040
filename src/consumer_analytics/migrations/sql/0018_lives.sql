-- What is remembered of customers whose life has ended: one row for the end of each life, so
-- that their past is told when their row is gone, and when events have been purged. What the
-- rows of earlier versions say of a birth was kept without saying whence: it is looked up again.
alter table consumer_analytics_internal.deleted_customers
    -- `event`: a deletion event tells of the end; `row`: capture saw the row go.
    add ended_by text not null default 'event' check (ended_by in ('event', 'row')),
    -- Where created_at, the birth, is known from. NULL: nobody has looked yet. `nothing`: creation
    -- events have vanished, so the customer counts at every instant that can be recounted.
    add born_from text check (born_from in ('row', 'creation', 'event', 'deletion', 'nothing')),
    add consumer_id uuid,
    add consumer_from text check (consumer_from in ('row', 'deletion', 'lifecycle', 'event', 'nothing')),
    -- What the customer was in the last stretch of that life.
    add status text,
    -- What the row said when capture saw it go.
    add row_status text,
    -- When the next life began, of a customer that came back: its creation event, or when
    -- capture saw the row come back. NULL: it did not.
    add reborn_at timestamptz,
    add reborn_from text check (reborn_from in ('row', 'creation'));
comment on column consumer_analytics_internal.deleted_customers.deleted_at is
    'The end of the life: the deletion event''s created_at, or when capture saw the row go.';
comment on column consumer_analytics_internal.deleted_customers.created_at is
    'The birth of the life.';
create index deleted_customers_deleted_at_idx
    on consumer_analytics_internal.deleted_customers (deleted_at);
create index deleted_customers_reborn_idx
    on consumer_analytics_internal.deleted_customers (customer_id) where reborn_at is not null;
create index deleted_customers_unknown_idx
    on consumer_analytics_internal.deleted_customers (deleted_at) where born_from is null;
create index deleted_customers_guessed_idx
    on consumer_analytics_internal.deleted_customers (customer_id)
    where born_from in ('event', 'deletion', 'nothing');

-- When capture saw a customer's row come back under a time from before a run.
alter table consumer_analytics_internal.touched_customers add came_at timestamptz;

-- Several changes of one customer in one microsecond: what the customer was before them. They
-- come in the order of their event_id, and are put in order by what they say. NULL: they lead
-- back to where they began, so that nothing has changed.
create function consumer_analytics_internal.chain_start(olds text[], news text[], follows text)
returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    starts text[];
    start text;
    place int;
    reached text;
    used boolean[];
begin
    -- Where changes leave more often than they arrive, a chain begins.
    select array_agg(status order by first)
    into starts
    from (
        select status, min(number) filter (where way = 1) as first
        from (
            select status, number, 1 as way
            from unnest(olds) with ordinality as old (status, number)
            union all
            select status, number, -1
            from unnest(news) with ordinality as new (status, number)
        ) as ends
        group by status
        having sum(way) > 0
    ) as surplus;
    if cardinality(starts) > 1 then
        -- Several chains: the one that leads to what follows comes last.
        foreach start in array starts loop
            reached := start;
            used := array_fill(false, array[cardinality(olds)]);
            loop
                place := (
                    select min(number)
                    from generate_subscripts(olds, 1) as number
                    where not used[number] and olds[number] = reached
                );
                exit when place is null;
                used[place] := true;
                reached := news[place];
            end loop;
            if reached is distinct from follows then
                return start;
            end if;
        end loop;
    end if;
    return starts[1];
end
$$;

-- A row that comes under an old time may be that of a customer who had gone.
create or replace function consumer_analytics_internal.capture_inserted_customers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    perform from new_rows where created_at::timestamptz < below limit 1;
    if not found then
        return null;
    end if;
    insert into consumer_analytics_internal.touched_days (consumer_id, day)
    select distinct consumer_id, created_at::timestamptz::date
    from new_rows
    where created_at::timestamptz < below;
    insert into consumer_analytics_internal.touched_customers (customer_id, consumer_id, came_at)
    select customer_id, consumer_id, now()
    from new_rows
    where created_at::timestamptz < below
        and exists (
            select from consumer_analytics_internal.deleted_customers as known
            where known.customer_id = new_rows.customer_id
        );
    return null;
end
$$;

-- What the row said is remembered, whether an event tells of its end or not.
create or replace function consumer_analytics_internal.capture_deleted_customers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    insert into consumer_analytics_internal.deleted_customers as known (
        customer_id, deleted_at, ended_by, created_at, born_from, consumer_id, consumer_from, status, row_status
    )
    select distinct on (customer_id)
        customer_id,
        now(),
        'row',
        created_at::timestamptz,
        case when created_at is not null then 'row' end,
        consumer_id,
        'row',
        status::text,
        coalesce(status::text, '')
    from old_rows
    where customer_id is not null
    order by customer_id, created_at
    on conflict (customer_id, deleted_at) do update
    set created_at = coalesce(excluded.created_at, known.created_at),
        born_from = coalesce(excluded.born_from, known.born_from),
        consumer_id = excluded.consumer_id,
        consumer_from = 'row',
        row_status = excluded.row_status;
    insert into consumer_analytics_internal.touched_customers
        (customer_id, consumer_id, status_before, created_before)
    select customer_id, consumer_id, coalesce(status::text, ''), coalesce(created_at::timestamptz, '-infinity')
    from old_rows
    where customer_id is not null and (created_at::timestamptz < below or created_at is null);
    return null;
end
$$;
