-- Whether rows of some consumers are to say other customers than they said because some came late, and
-- for nothing else: as many more at each instant as were born until then beyond what was reported, none
-- in the place of another. Rows that do not differ are looked at as well.
with numbers as (
    select
        old.consumer_id,
        old.snapshot_timestamp as at,
        coalesce(new.metrics_json, old.metrics_json) -> 'customers_by_status' as by_status,
        old.metrics_json -> 'customers_by_status' as reported_by_status,
        (coalesce(new.metrics_json, old.metrics_json) ->> 'total_customers')::numeric as total,
        (coalesce(new.metrics_json, old.metrics_json) #>> born.key)::numeric as born,
        case
            when jsonb_typeof(old.metrics_json -> 'total_customers') = 'number'
                then (old.metrics_json -> 'total_customers')::numeric
        end as reported_total,
        case
            when jsonb_typeof(old.metrics_json #> born.key) = 'number' then (old.metrics_json #> born.key)::numeric
        end as reported_born
    from public.consumer_analytics as old
    left join pg_temp.unlike_customers as new using (consumer_id, snapshot_timestamp)
    cross join (values ('{{incremental_stats,new_customers_in_window}}'::text[])) as born (key)
    where old.consumer_id = any(%(consumers)s::uuid[]) and old.snapshot_timestamp = any(%(snapshots)s::timestamptz[])
),

counted as (
    select *, sum(born - reported_born) over (partition by consumer_id order by at) as late
    from numbers
)

select not exists (
    select from counted
    cross join lateral (
        select
            coalesce(bool_and(n <= coalesce((counted.by_status ->> status)::numeric, 0)), true) as is_kept,
            coalesce(sum(n), 0) as n
        from (
            select key as status, case when jsonb_typeof(value) = 'number' then value::numeric end as n
            from jsonb_each(
                case when jsonb_typeof(counted.reported_by_status) = 'object' then counted.reported_by_status end
            )
        ) as one
    ) as statuses
    where (
        total - reported_total = late
        and born >= reported_born
        and statuses.is_kept
        and statuses.n = reported_total
    ) is not true
)
