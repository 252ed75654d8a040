-- A hash of the whole system's row as it was written: what is added to it later is added to what
-- was written, or not at all. NULL: nobody knows.
alter table consumer_analytics_internal.written_snapshots add whole_digest bigint;

-- What earlier versions wrote is taken as it stands.
update consumer_analytics_internal.written_snapshots as written
set whole_digest = jsonb_hash_extended(whole.metrics_json - '{snapshot_source,etl_job}'::text[], 0)
from public.consumer_analytics as whole
where whole.consumer_id is null
    and jsonb_typeof(whole.metrics_json) = 'object'
    and whole.snapshot_timestamp = written.snapshot_timestamp;

-- Snapshots after this instant may say other customers than there were, and nothing else: they are
-- compared with who there was.
alter table consumer_analytics_internal.state add customers_after timestamptz;
-- Whether that is what a note says of its day and all since.
alter table consumer_analytics_internal.touched_days add customers boolean not null default false;

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
    insert into consumer_analytics_internal.touched_days (consumer_id, day, restates, customers)
    select distinct consumer_id, created_at::timestamptz::date, false, true
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

create or replace function consumer_analytics_internal.capture_updated_customers() returns trigger
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
        insert into consumer_analytics_internal.touched_days (consumer_id, day, restates, customers)
        select distinct side.consumer_id, least(old_at, new_at)::date, false, true
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

select consumer_analytics_internal.guard_capture();
