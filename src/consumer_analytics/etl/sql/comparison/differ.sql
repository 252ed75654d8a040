-- Rows of instants that say other customers than there were, are lacking or are too many, each with
-- its instant, and whether it is held: of whom no customer is left, and no event tells why, what was
-- reported stays. Slots are as in customers-extract. Each status has a column in
-- `customer_cells`; what rows say is compared with the text of a document in which it would stand.
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

-- Or the owner of customers who are remembered, which is as good.
registered as materialized (
    select consumer_id, width_bucket(min(since), (%(bounds)s::timestamptz[])[2:]) + 1 as since
    from (
        select consumer_id, created_at::timestamptz as since
        from {consumers} as consumers
        union all
        select consumer_id, since
        from life_owners
    ) as known
    where since < (select max(at) from instants)
    group by consumer_id
),

known_now as (
    select
        consumer_id,
        slot,
        {accumulated},
        consumer_analytics_internal.total(moved.dated) over so_far as dated,
        sum(moved.created_us) over so_far as us,
        coalesce(moved.born, 0) as born
    from (
        select consumer_id
        from owners
        where consumer_id is not null
        union
        select consumer_id
        from pg_temp.customer_cells
        where consumer_id is not null
        union
        select consumer_id
        from registered
    ) as consumers
    cross join instants
    left join pg_temp.customer_cells as moved using (consumer_id, slot)
    window so_far as (partition by consumer_id order by slot)
),

as_known_now as (
    select
        known_now.consumer_id,
        known_now.slot,
        at,
        window_text,
        coalesce({total}, 0) as total,
        concat('{{', right(concat({by_status}), -2), '}}') as by_status,
        case
            when known_now.dated > 0
                then round((known_now.dated * at_us - known_now.us) / known_now.dated / 86400000000, 2)
        end as lifetime,
        known_now.born,
        registered.since <= known_now.slot as is_registered
    from known_now
    join instants using (slot)
    left join registered on registered.consumer_id = known_now.consumer_id
),

-- What rows say is taken from them as they are read, a consumer's in their order: whole rows would be
-- sorted otherwise.
as_reported as materialized (
    select
        owners.consumer_id,
        slot,
        said.total,
        said.by_status,
        said.lifetime,
        said.events,
        said.fresh
    from owners
    cross join lateral (
        select
            old.snapshot_timestamp as at,
            old.metrics_json -> 'total_customers' as total,
            (old.metrics_json -> 'customers_by_status')::text as by_status,
            coalesce(old.metrics_json -> 'avg_customer_lifetime_days', 'null') as lifetime,
            old.metrics_json -> 'total_events' as events,
            old.metrics_json -> 'incremental_stats' as fresh
        from public.consumer_analytics as old
        where old.consumer_id = owners.consumer_id
            and old.snapshot_timestamp >= (%(bounds)s::timestamptz[])[2]
            and old.snapshot_timestamp <= (%(bounds)s::timestamptz[])[cardinality(%(bounds)s::timestamptz[])]
        offset 0
    ) as said
    join instants on instants.at = said.at
)

select at, consumer_id, is_held
from (
    select
        known.at,
        known.consumer_id,
        not %(accepts_all)s
        and known.consumer_id::text <> all(%(accepted)s)
        and coalesce(to_jsonb(known.total) < reported.total, false)
        and not exists (select from {customers} as one where one.consumer_id = known.consumer_id)
        -- Where events have come since, the days that have them are counted again.
        and to_jsonb(known.total + (select contradicted from ({told_ends}) as ends)) < reported.total as is_held
    from as_known_now as known
    left join as_reported as reported using (consumer_id, slot)
    left join birthless using (consumer_id)
    where case
            when reported.consumer_id is null then known.is_registered is true or known.total > 0
            else
                reported.by_status is distinct from known.by_status
                or reported.total is distinct from to_jsonb(known.total)
                or (
                    reported.lifetime is distinct from coalesce(to_jsonb(known.lifetime), 'null')
                    and (birthless.instants @> known.at) is not true
                )
                or (
                    reported.fresh ->> 'new_customers_in_window' is distinct from known.born::text
                    and reported.fresh ->> 'window_start' = known.window_text
                )
                -- In a window of its own, where no mean tells of a birth that nothing tells any more.
                or (
                    birthless.instants @> known.at
                    and reported.fresh ->> 'window_start' <> known.window_text
                    and (
                        select coalesce(sum(cell.born), 0)::text
                        from instants as first
                        left join pg_temp.customer_cells as cell
                            on cell.consumer_id = known.consumer_id
                                and cell.slot between first.slot and known.slot
                        where first.window_text = reported.fresh ->> 'window_start'
                        group by first.slot
                    ) is distinct from reported.fresh ->> 'new_customers_in_window'
                )
                -- It may have its row for its events' sake.
                or (known.is_registered is not true and known.total = 0 and reported.events = '0')
        end
        -- Whose customers of then can no longer be told: whether it has its row for being registered.
        and (
            not exists (
                select from frozen where frozen.consumer_id = known.consumer_id and known.at < frozen.until
            )
            or case
                when reported.consumer_id is null then known.is_registered is true
                else known.is_registered is not true and reported.total = '0' and reported.events = '0'
            end
        )
    union all
    select instants.at, null, false
    from instants
    join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = instants.at
    left join (
        select instants.slot, sum(customers)::bigint as total
        from instants
        join pg_temp.customer_cells as stray on stray.consumer_id is null and stray.slot <= instants.slot
        group by instants.slot
    ) as stray using (slot)
    where not exists (select from frozen where consumer_id is null and instants.at < until)
        and whole.metrics_json -> 'unattributed_customers' is distinct from to_jsonb(coalesce(stray.total, 0))
) as differing
order by at
