-- Of instants whose snapshots say other customers than there were, the rows of some consumers that do,
-- each with who there was; the whole system's row is what `summed` says. `is_sure`: the row is there, its window is
-- the one that was noted and that is counted now.
create temporary table unlike_customers on commit drop as
with recursive {life_owners},

{birthless},

instants as materialized (
    select
        slot::int as slot,
        at,
        extract(epoch from at) * 1000000 as at_us,
        to_json((%(bounds)s::timestamptz[])[slot]) #>> '{{}}' as window_text,
        coalesce(written.window_start = (%(bounds)s::timestamptz[])[slot], false) as is_noted
    from unnest((%(bounds)s::timestamptz[])[2:]) with ordinality as instant (at, slot)
    left join consumer_analytics_internal.written_snapshots as written on written.snapshot_timestamp = at
),

wrong as materialized (
    select *
    from instants
    where at = any(%(wrong)s::timestamptz[])
),

chosen_changes as (
    select *
    from pg_temp.extracted_customers
    where consumer_id = any(%(consumers)s::uuid[]) or consumer_id is null
),

{customers_there},

born as materialized (
    select consumer_id, greatest(slot, 1) as slot, sum(born)::bigint as n
    from pg_temp.extracted_customers
    where born <> 0
    group by consumer_id, greatest(slot, 1)
),

-- Or the owner of customers who are remembered, which is as good.
registered as materialized (
    select consumer_id, slot
    from {consumers} as consumers
    join wrong on created_at < wrong.at
    where consumer_id = any(%(consumers)s::uuid[])
    union
    select consumer_id, slot
    from life_owners
    join wrong on since < wrong.at
    where consumer_id = any(%(consumers)s::uuid[])
),

reported as materialized (
    select one.consumer_id, wrong.slot, one.metrics_json as metrics
    from wrong
    cross join unnest(%(consumers)s::uuid[]) as asked (consumer_id)
    join public.consumer_analytics as one
        on one.consumer_id = asked.consumer_id and one.snapshot_timestamp = wrong.at
),

each_row as (
    select
        consumer_id,
        slot,
        wrong.at,
        window_text,
        is_noted,
        metrics,
        registered.consumer_id is not null as is_registered,
        coalesce(there.total, 0)::bigint as total,
        coalesce(there.by_status, '{{}}') as by_status,
        case
            when metrics is not null and birthless.instants @> wrong.at then metrics -> 'avg_customer_lifetime_days'
            when there.dated > 0
                then to_jsonb(round((there.dated * at_us - there.us) / there.dated / 86400000000, 2))
        end as lifetime,
        coalesce(born.n, 0) as born
    from reported
    full join (
        select *
        from there
        where consumer_id is not null and slot in (select slot from wrong) and total <> 0
    ) as there using (consumer_id, slot)
    full join registered using (consumer_id, slot)
    join wrong using (slot)
    left join born using (consumer_id, slot)
    left join birthless using (consumer_id)
),

-- A row that joins or goes, or whose window is another, takes more than its customers.
compared as materialized (
    select
        *,
        metrics is not null
        and (is_registered or total > 0 or metrics -> 'total_events' is distinct from '0')
        and is_noted
        and coalesce(window_text = metrics #>> '{{incremental_stats,window_start}}', false) as is_sure,
        jsonb_build_object(
            'total_customers', total,
            'customers_by_status', by_status,
            'avg_customer_lifetime_days', lifetime,
            'born', born
        ) <> jsonb_build_object(
            'total_customers', metrics -> 'total_customers',
            'customers_by_status', metrics -> 'customers_by_status',
            'avg_customer_lifetime_days', metrics -> 'avg_customer_lifetime_days',
            'born', metrics #> '{{incremental_stats,new_customers_in_window}}'
        ) as differs
    from each_row
),

{summed}

select
    consumer_id,
    at as snapshot_timestamp,
    -- None has fewer customers than were reported, where none of theirs is left.
    is_sure and (
        coalesce(to_jsonb(total) >= metrics -> 'total_customers', false)
        or exists (select from {customers} as one where one.consumer_id = compared.consumer_id)
    ) as is_sure,
    metrics || jsonb_build_object(
        'total_customers', total,
        'active_customers', coalesce(by_status -> {active}, '0'),
        'inactive_customers', coalesce(by_status -> {inactive}, '0'),
        'customers_by_status', by_status,
        'avg_customer_lifetime_days', lifetime,
        'incremental_stats', metrics -> 'incremental_stats' || jsonb_build_object('new_customers_in_window', born)
    ) as metrics_json
from compared
where differs or not is_sure
union all
select
    null,
    wrong.at,
    -- All else stays as it is: it has to be as it was written.
    coalesce(
        is_noted
        and is_as_written
        and window_text = whole.metrics_json #>> '{{incremental_stats,window_start}}'
        and jsonb_typeof(whole.metrics_json -> 'consumers_in_system') = 'number',
        false
    ),
    whole.metrics_json || jsonb_build_object(
        'total_customers_all_consumers', coalesce(summed.total, 0),
        'active_customers_all_consumers', coalesce(summed.by_status -> {active}, '0'),
        'inactive_customers_all_consumers', coalesce(summed.by_status -> {inactive}, '0'),
        'customers_by_status_all_consumers', coalesce(summed.by_status, '{{}}'),
        'system_wide_active_ratio', case
            when summed.total > 0
                then round(coalesce(summed.by_status ->> {active}, '0')::numeric / summed.total, 4)
            else 0
        end,
        'unattributed_customers', coalesce(summed.unattributed, 0)::bigint,
        'incremental_stats', whole.metrics_json -> 'incremental_stats' || jsonb_build_object(
            'new_customers_in_window', coalesce(summed.born, 0)
        )
    )
from wrong
join (
    select
        snapshot_timestamp,
        metrics_json,
        written.whole_digest = {whole_digest} as is_as_written
    from public.consumer_analytics
    join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
    where consumer_id is null
) as whole on whole.snapshot_timestamp = wrong.at
left join summed using (slot)
