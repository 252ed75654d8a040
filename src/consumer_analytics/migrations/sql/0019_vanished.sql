-- Events that were counted, and that the source no longer holds, though nobody corrected them:
-- purged. They stay in event_days and event_totals: counted = source + vanished.
create table consumer_analytics_internal.vanished_events (
    consumer_id uuid,
    event_type text not null,
    -- A stretch between neighbouring UTC midnights and reported instants.
    since timestamptz not null,
    until timestamptz not null,
    n bigint not null check (n > 0),
    -- Rows that have come to the stretch since, and were counted beside it: late ones, or the
    -- vanished ones restored.
    came_back bigint not null default 0 check (came_back >= 0),
    noted_at timestamptz not null default clock_timestamp(),
    -- What noted it: run, sweep, backfill, audit ..., with its key.
    noted_by text not null,
    unique nulls not distinct (consumer_id, event_type, since, until),
    check (since < until)
);
create index vanished_events_until_idx on consumer_analytics_internal.vanished_events (until);
-- Customers of before such an event can no longer be told.
create index vanished_events_lifecycle_idx on consumer_analytics_internal.vanished_events (until)
    where event_type in ('customer_creation', 'customer_status_change', 'customer_deletion');

-- How many are noted, so that no report has to add them up; and the source's oldest row when it
-- was last looked at: what was counted before it is noted.
alter table consumer_analytics_internal.state
    add vanished bigint not null default 0,
    add oldest_seen timestamptz;

-- Rows that capture saw change: by how many the counts of a consumer, type and day went down by
-- it, or up where n is negative. That many less in the source is a correction. The type is as the
-- row has it.
create table consumer_analytics_internal.changed_events (
    consumer_id uuid,
    event_type text,
    day date not null,
    n bigint not null,
    -- Seen by nobody, but the totals do not bear the day's count out: while it is judged.
    doubted boolean not null default false
);

-- Whether an extracted row is from after what had been counted.
alter table consumer_analytics_internal.extracted_events add fresh boolean not null default false;

create or replace function consumer_analytics_internal.capture_updated_events() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    with changed as (
        select
            event_id,
            before.consumer_id as old_consumer,
            after.consumer_id as new_consumer,
            before.customer_id as old_customer,
            after.customer_id as new_customer,
            before.created_at::timestamptz as old_at,
            after.created_at::timestamptz as new_at,
            before.event_type::text as old_type,
            after.event_type::text as new_type
        from old_rows as before
        full join new_rows as after using (event_id)
        where (
            before.consumer_id, before.customer_id, before.created_at, before.event_type::text,
            before.payload_json::text
        ) is distinct from (
            after.consumer_id, after.customer_id, after.created_at, after.event_type::text,
            after.payload_json::text
        )
    ),
    sides as (
        select
            old_consumer as consumer_id, old_customer as customer_id, old_at as at, old_type as event_type, 1 as n
        from changed
        union all
        select new_consumer, new_customer, new_at, new_type, -1
        from changed
    ),
    days as (
        insert into consumer_analytics_internal.touched_days (consumer_id, day, restates)
        select distinct consumer_id, at::date, false
        from sides
        where at < below
    ),
    counts as (
        insert into consumer_analytics_internal.changed_events (consumer_id, event_type, day, n)
        select consumer_id, event_type, at::date, sum(n)
        from sides
        where at < below
        group by 1, 2, 3
        having sum(n) <> 0
    )
    -- A lifecycle event says what was before it: its own age does not matter.
    insert into consumer_analytics_internal.touched_customers (customer_id, consumer_id, event_at)
    select customer_id, consumer_id, at
    from sides
    where event_type in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id is not null
        and at is not null;
    return null;
end
$$;

-- An earlier version kept one instant, from before which rows were no longer all in the source.
-- The next run counts these days again, and notes what is missing.
insert into consumer_analytics_internal.touched_days (day, restates)
select day, false
from (
    select distinct known.day
    from consumer_analytics_internal.event_days as known
    join consumer_analytics_internal.state on known.day <= state.purged_before::date
) as days;
alter table consumer_analytics_internal.state drop column purged_before;
