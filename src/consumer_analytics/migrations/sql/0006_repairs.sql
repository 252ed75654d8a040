-- What finding and repairing late, changed, deleted and purged rows needs.

-- Rows from before this instant are no longer all in the source: the user has
-- purged them. Only ever grows, until somebody says that counts may go down.
alter table consumer_analytics_internal.state add purged_before timestamptz;

-- Whether a note can concern what was counted otherwise than by the day's own
-- counts: then every snapshot after the day is computed anew.
alter table consumer_analytics_internal.touched_days add restates boolean not null default true;

-- When deleted customers came into being, remembered while the source still
-- holds it: a mean lifetime as of an instant needs it. NULL: it never said.
create table consumer_analytics_internal.deleted_customers (
    customer_id uuid not null,
    deleted_at timestamptz not null,
    created_at timestamptz,
    primary key (customer_id, deleted_at)
);

-- Customers whose past something may have changed; the next run looks closer.
create table consumer_analytics_internal.touched_customers (
    touched_id bigint generated always as identity primary key,
    customer_id uuid not null,
    consumer_id uuid,
    -- A changed or deleted row: what it was before.
    status_before text,
    created_before timestamptz,
    -- Or a lifecycle event that came late, was changed or deleted: its time.
    event_at timestamptz
);

-- Microseconds since 1970: the instant from before which capture notes every row.
-- A sequence, because its value is the newest one whatever snapshot a transaction
-- reads with. Its least value means that nothing has been processed yet.
create sequence consumer_analytics_internal.capture_threshold
    minvalue -62135596800000000 start with -62135596800000000;

-- Transactions that had written before a threshold was published and were still
-- open when the run read: their rows in these days are counted anew when they end.
create table consumer_analytics_internal.capture_unsure (
    writer text not null,
    first_day date not null,
    last_day date not null
);

-- The functions below run as their owner, so that whoever writes the source needs
-- no right on our tables, and in UTC, so that `timestamp` columns mean UTC.
create function consumer_analytics_internal.capture_inserted_events() returns trigger
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
    insert into consumer_analytics_internal.touched_days (consumer_id, day, restates)
    select distinct consumer_id, created_at::timestamptz::date, false
    from new_rows
    where created_at::timestamptz < below;
    insert into consumer_analytics_internal.touched_customers (customer_id, consumer_id, event_at)
    select customer_id, consumer_id, created_at::timestamptz
    from new_rows
    where created_at::timestamptz < below
        and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id is not null;
    return null;
end
$$;

create function consumer_analytics_internal.capture_updated_events() returns trigger
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
        select old_consumer as consumer_id, old_customer as customer_id, old_at as at, old_type as event_type
        from changed
        union all
        select new_consumer, new_customer, new_at, new_type
        from changed
    ),
    days as (
        insert into consumer_analytics_internal.touched_days (consumer_id, day, restates)
        select distinct consumer_id, at::date, false
        from sides
        where at < below
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

create function consumer_analytics_internal.capture_deleted_events() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    insert into consumer_analytics_internal.touched_days (consumer_id, day, restates)
    select distinct consumer_id, created_at::timestamptz::date, false
    from old_rows
    where created_at::timestamptz < below;
    insert into consumer_analytics_internal.touched_customers (customer_id, consumer_id, event_at)
    select customer_id, consumer_id, created_at::timestamptz
    from old_rows
    where event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id is not null;
    return null;
end
$$;

create function consumer_analytics_internal.capture_inserted_customers() returns trigger
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
    return null;
end
$$;

create function consumer_analytics_internal.capture_updated_customers() returns trigger
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
            customer_id,
            before.consumer_id as old_consumer,
            after.consumer_id as new_consumer,
            before.status::text as old_status,
            after.status::text as new_status,
            before.created_at::timestamptz as old_at,
            after.created_at::timestamptz as new_at
        from old_rows as before
        full join new_rows as after using (customer_id)
        where (before.consumer_id, before.status::text, before.created_at)
            is distinct from (after.consumer_id, after.status::text, after.created_at)
    ),
    days as (
        insert into consumer_analytics_internal.touched_days (consumer_id, day)
        select distinct side.consumer_id, least(old_at, new_at)::date
        from changed
        cross join lateral (values (old_consumer), (new_consumer)) as side (consumer_id)
        where least(old_at, new_at) < below
            and (old_consumer, old_at) is distinct from (new_consumer, new_at)
    )
    -- A change of status is the ordinary thing; whether an event goes with it shows later.
    insert into consumer_analytics_internal.touched_customers
        (customer_id, consumer_id, status_before, created_before)
    select customer_id, old_consumer, coalesce(old_status, ''), old_at
    from changed
    where old_at < below and new_at is not null and old_status is distinct from new_status;
    return null;
end
$$;

create function consumer_analytics_internal.capture_deleted_customers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    insert into consumer_analytics_internal.deleted_customers (customer_id, deleted_at, created_at)
    select customer_id, now(), created_at::timestamptz
    from old_rows
    where isfinite(created_at)
    on conflict do nothing;
    insert into consumer_analytics_internal.touched_customers
        (customer_id, consumer_id, status_before, created_before)
    select customer_id, consumer_id, coalesce(status::text, ''), created_at::timestamptz
    from old_rows
    where created_at::timestamptz < below;
    return null;
end
$$;

-- Consumers are few and seldom change: which rows a snapshot has depends on them.
create function consumer_analytics_internal.capture_consumers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    below timestamptz;
begin
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end
    into below from consumer_analytics_internal.capture_threshold;
    if tg_op = 'INSERT' then
        insert into consumer_analytics_internal.touched_days (consumer_id, day)
        select consumer_id, created_at::timestamptz::date
        from new_rows
        where created_at::timestamptz < below;
    elsif tg_op = 'DELETE' then
        insert into consumer_analytics_internal.touched_days (consumer_id, day)
        select consumer_id, created_at::timestamptz::date
        from old_rows
        where created_at::timestamptz < below;
    else
        insert into consumer_analytics_internal.touched_days (consumer_id, day)
        select consumer_id, least(before.created_at, after.created_at)::timestamptz::date
        from old_rows as before
        full join new_rows as after using (consumer_id)
        where before.created_at is distinct from after.created_at
            and least(before.created_at, after.created_at)::timestamptz < below;
    end if;
    return null;
end
$$;

-- Nothing is left to say what was there: everything is counted anew.
create function consumer_analytics_internal.capture_truncated() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into consumer_analytics_internal.touched_days (day) values ('-infinity');
    return null;
end
$$;

-- Every version of every snapshot: what was reported, from when until when.
create view public.consumer_analytics_history with (security_invoker = true) as
select
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    metrics_json,
    reported_from,
    reported_until,
    reason as replaced_by
from public.consumer_analytics_revisions
union all
select
    snapshot.analytics_id,
    snapshot.consumer_id,
    snapshot.snapshot_timestamp,
    snapshot.metrics_json,
    coalesce(
        (
            select max(earlier.reported_until)
            from public.consumer_analytics_revisions as earlier
            where earlier.analytics_id = snapshot.analytics_id
        ),
        snapshot.created_at
    ),
    'infinity'::timestamptz,
    null
from public.consumer_analytics as snapshot;
comment on view public.consumer_analytics_history is
    'Every version of every snapshot; reported_until is infinity for the one that stands.';

create view public.consumer_analytics_as_reported with (security_invoker = true) as
select distinct on (consumer_id, snapshot_timestamp)
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    metrics_json,
    reported_from as created_at
from public.consumer_analytics_history
order by consumer_id, snapshot_timestamp, reported_from, analytics_id;
comment on view public.consumer_analytics_as_reported is
    'Each snapshot as it was first reported; the table consumer_analytics has it as known now.';

create function public.consumer_analytics_reported_at(instant timestamptz)
returns setof public.consumer_analytics_history
language sql stable
begin atomic
    select
        analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reported_until, replaced_by
    from public.consumer_analytics_history
    where reported_from <= instant and reported_until > instant;
end;
comment on function public.consumer_analytics_reported_at is
    'All snapshots as anyone who looked at that instant saw them.';
