-- Rows of instants that say other customers than there were, are lacking or are too many, each with
-- its instant, and whether it is held, as in differ; whatever the statuses. Slots are as in customers-extract.
with recursive {owners},

{life_owners},

{frozen},

{birthless},

instants as materialized (
    select
        slot::int as slot,
        at,
        extract(epoch from at) * 1000000 as at_us,
        to_json((%(bounds)s::timestamptz[])[slot]) #>> '{{}}' as window_text
    from unnest((%(bounds)s::timestamptz[])[2:]) with ordinality as instant (at, slot)
),

chosen_changes as (
    select * from pg_temp.extracted_customers
),

{customers_there},

born as materialized (
    select consumer_id, greatest(slot, 1) as slot, sum(born)::bigint as n
    from pg_temp.extracted_customers
    where born <> 0
    group by consumer_id, greatest(slot, 1)
),

-- Or the owner of customers who are remembered, which is as good.
registered as (
    select consumer_id, slot
    from {consumers} as consumers
    join instants on created_at < instants.at
    union
    select consumer_id, slot
    from life_owners
    join instants on since < instants.at
),

as_known_now as materialized (
    select
        consumer_id,
        slot,
        registered.consumer_id is not null as is_registered,
        registered.consumer_id is not null or there.total > 0 as belongs,
        coalesce(born.n, 0) as born,
        window_text,
        jsonb_build_object(
            'total_customers', coalesce(there.total, 0)::bigint,
            'customers_by_status', coalesce(there.by_status, '{{}}'),
            'avg_customer_lifetime_days', case
                when there.dated > 0
                    then round((there.dated * at_us - there.us) / there.dated / 86400000000, 2)
            end
        ) as customers
    from there
    full join registered using (consumer_id, slot)
    join instants using (slot)
    left join born using (consumer_id, slot)
    where consumer_id is not null
),

as_reported as materialized (
    select old.consumer_id, slot, old.metrics_json as metrics
    from instants
    cross join owners
    join public.consumer_analytics as old
        on old.consumer_id = owners.consumer_id and old.snapshot_timestamp = instants.at
)

select at, consumer_id, is_held
from (
    select
        slot,
        consumer_id,
        not %(accepts_all)s
        and consumer_id::text <> all(%(accepted)s)
        and coalesce(coalesce(customers -> 'total_customers', '0') < metrics -> 'total_customers', false)
        and not exists (
            select from {customers} as one
            where one.consumer_id = coalesce(as_known_now.consumer_id, as_reported.consumer_id)
        )
        and (
            select to_jsonb(known.total + (select contradicted from ({told_ends}) as ends)) < metrics -> 'total_customers'
            from (
                values (consumer_id, at, coalesce((customers ->> 'total_customers')::numeric, 0))
            ) as known (consumer_id, at, total)
        ) as is_held
    from as_known_now
    full join as_reported using (consumer_id, slot)
    join instants using (slot)
    left join birthless using (consumer_id)
    where case
        -- Whose customers of then can no longer be told: whether it has its row for being registered.
        when exists (
            select from frozen where frozen.consumer_id = coalesce(as_known_now.consumer_id, as_reported.consumer_id)
                and instants.at < frozen.until
        )
            then case
                when metrics is null then coalesce(is_registered, false)
                else
                    is_registered is not true
                    and metrics -> 'total_customers' = '0'
                    and metrics -> 'total_events' = '0'
            end
        when metrics is null then belongs
        when coalesce(belongs, false)
            then jsonb_build_object(
                'total_customers', metrics -> 'total_customers',
                'customers_by_status', metrics -> 'customers_by_status',
                'avg_customer_lifetime_days', case
                    when birthless.instants @> instants.at then customers -> 'avg_customer_lifetime_days'
                    else metrics -> 'avg_customer_lifetime_days'
                end
            ) <> customers
            or (
                metrics #> '{{incremental_stats,new_customers_in_window}}' is distinct from to_jsonb(born)
                and metrics #>> '{{incremental_stats,window_start}}' = as_known_now.window_text
            )
            -- In a window of its own, where no mean tells of a birth that nothing tells any more.
            or (
                birthless.instants @> instants.at
                and metrics #>> '{{incremental_stats,window_start}}' <> as_known_now.window_text
                and (
                    select to_jsonb(coalesce(sum(cell.n), 0)::bigint)
                    from instants as first
                    left join born as cell
                        on cell.consumer_id = as_known_now.consumer_id
                            and cell.slot between first.slot and as_known_now.slot
                    where first.window_text = metrics #>> '{{incremental_stats,window_start}}'
                    group by first.slot
                ) is distinct from metrics #> '{{incremental_stats,new_customers_in_window}}'
            )
        -- It may have its row for its events' sake.
        else metrics -> 'total_customers' is distinct from '0' or metrics -> 'total_events' = '0'
    end
    union all
    select slot, null, false
    from instants
    join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = instants.at
    left join (select slot, total from there where consumer_id is null) as stray using (slot)
    where not exists (select from frozen where consumer_id is null and instants.at < until)
        and whole.metrics_json -> 'unattributed_customers' is distinct from to_jsonb(coalesce(stray.total, 0)::bigint)
) as differing
join instants using (slot)
order by at
