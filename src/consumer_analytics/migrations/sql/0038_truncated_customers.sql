-- What TRUNCATE takes from customers is gone before a trigger after it could see it. This one stands
-- before it, and notes each row as capture_deleted_customers does. The rows are the table's own: of
-- tables that inherit from it, and of partitions, each has a trigger of its own.
create function consumer_analytics_internal.capture_truncating_customers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
begin
    -- Where the function's owner may not read them, or a policy would run code of the table's owner as
    -- his, they are not read. The trigger after it has everything counted again.
    if not has_table_privilege(tg_relid, 'select') or (select relrowsecurity from pg_class where oid = tg_relid) then
        return null;
    end if;
    execute 'with old_rows as (select * from only '
        || format('%I.%I', tg_table_schema, tg_table_name)
        || $statement$),
below as (
    select case when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond' end as at
    from consumer_analytics_internal.capture_threshold
),
ended as (
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
        row_status = excluded.row_status
)
insert into consumer_analytics_internal.touched_customers
    (customer_id, consumer_id, status_before, created_before)
select customer_id, consumer_id, coalesce(status::text, ''), coalesce(created_at::timestamptz, '-infinity')
from old_rows
cross join below
where customer_id is not null and (created_at::timestamptz < below.at or created_at is null)$statement$;
    return null;
end
$$;
revoke all on function consumer_analytics_internal.capture_truncating_customers() from public;

select consumer_analytics_internal.guard_capture();
