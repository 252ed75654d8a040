-- A customer whose row has no time was born when its events say (0028): a change of such a row, or to such a
-- one, may concern any instant, and was taken for one that concerns none.
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
            case
                when before.customer_id is not null then coalesce(before.created_at::timestamptz, '-infinity')
            end as old_at,
            case
                when after.customer_id is not null then coalesce(after.created_at::timestamptz, '-infinity')
            end as new_at
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
