-- Instants whose snapshot says other customers than there were, lacks a
-- consumer's row or has one too many. Slots are as in customers-extract.
with recursive {owners},

{frozen},

instants as materialized (
    select slot::int as slot, at, extract(epoch from at) * 1000000 as at_us
    from unnest((%(bounds)s::timestamptz[])[2:]) with ordinality as instant (at, slot)
),

-- Sums stand from one change of a consumer's status until the next one: none is added up again for
-- each instant.
stretches as (
    select
        consumer_id,
        status,
        greatest(slot, 1) as slot,
        lead(slot, 1, (select max(slot) from instants) + 1) over so_far as until,
        sum(n) over so_far as n,
        sum(dated) over so_far as dated,
        sum(us) over so_far as us
    from (
        select consumer_id, slot, status, sum(n) as n, sum(dated) as dated, sum(created_us) as us
        from pg_temp.extracted_customers
        group by consumer_id, slot, status
    ) as changes
    window so_far as (partition by consumer_id, status order by slot)
),

there as materialized (
    select
        consumer_id,
        each_of_them.slot,
        sum(n) as total,
        jsonb_object_agg(status, n::bigint) filter (where n <> 0) as by_status,
        sum(dated) as dated,
        sum(us) as us
    from stretches
    cross join lateral generate_series(stretches.slot, until - 1) as each_of_them (slot)
    group by consumer_id, each_of_them.slot
),

registered as (
    select consumer_id, slot
    from {consumers}
    join instants on created_at < instants.at
),

as_known_now as materialized (
    select
        consumer_id,
        slot,
        registered.consumer_id is not null or there.total > 0 as belongs,
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
    where consumer_id is not null
),

as_reported as materialized (
    select old.consumer_id, slot, old.metrics_json as metrics
    from instants
    cross join owners
    join public.consumer_analytics as old
        on old.consumer_id = owners.consumer_id and old.snapshot_timestamp = instants.at
)

select at
from (
    select slot
    from as_known_now
    full join as_reported using (consumer_id, slot)
    join instants using (slot)
    where not exists (
        select from frozen where frozen.consumer_id = coalesce(as_known_now.consumer_id, as_reported.consumer_id)
            and instants.at < frozen.until
    -- Of whom no customer is left, and no event tells why, what was reported stays.
    ) and not (
        not %(accepts_all)s
        and as_reported.consumer_id::text <> all(%(accepted)s)
        and metrics is not null
        and coalesce(customers -> 'total_customers', '0') < metrics -> 'total_customers'
        and as_reported.consumer_id not in (select consumer_id from {customers} where consumer_id is not null)
    ) and case
        when metrics is null then belongs
        when coalesce(belongs, false)
            then jsonb_build_object(
                'total_customers', metrics -> 'total_customers',
                'customers_by_status', metrics -> 'customers_by_status',
                'avg_customer_lifetime_days', metrics -> 'avg_customer_lifetime_days'
            ) <> customers
        -- It may have its row for its events' sake.
        else metrics -> 'total_customers' is distinct from '0' or metrics -> 'total_events' = '0'
    end
    union
    select slot
    from instants
    join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = instants.at
    left join (select slot, total from there where consumer_id is null) as stray using (slot)
    where not exists (select from frozen where consumer_id is null and instants.at < until)
        and whole.metrics_json -> 'unattributed_customers' is distinct from to_jsonb(coalesce(stray.total, 0)::bigint)
) as differing
join instants using (slot)
order by at
