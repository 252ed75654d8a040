-- Consumers of whom no customer's row is left, and no event tells why: what was reported of them
-- stays. Answers at which instants there is one. A document may have been edited: what is no number
-- in it counts for nothing.
with recursive {owners},

-- With those for whom nothing else speaks: they are not rendered.
rows as materialized (
    select consumer_id, snapshot_timestamp, metrics_json, true as is_rendered
    from rendered_snapshots
    where consumer_id is not null
    union all
    select consumer_id, snapshot_timestamp, null, false
    from (
        select owners.consumer_id, whole.snapshot_timestamp
        from rendered_snapshots as whole
        cross join owners
        where whole.consumer_id is null and owners.consumer_id is not null
        union all
        select consumer_id, snapshot_timestamp
        from unnest(%(consumers)s::uuid[]) as chosen (consumer_id)
        cross join unnest(%(alone)s::timestamptz[]) as alone (snapshot_timestamp)
        except
        select consumer_id, snapshot_timestamp
        from rendered_snapshots
    ) as absent
),

fewer as materialized (
    select
        new.consumer_id,
        new.snapshot_timestamp,
        new.is_rendered,
        old.metrics_json as reported,
        (old.metrics_json ->> 'total_customers')::numeric
        - coalesce((new.metrics_json ->> 'total_customers')::numeric, 0)
        -- Creations that were corrected tell of so many.
        - greatest(
            case
                when jsonb_typeof(old.metrics_json -> 'events_by_type' -> {customer_creation}) = 'number'
                    then (old.metrics_json -> 'events_by_type' -> {customer_creation})::numeric
                else 0
            end
            - coalesce((new.metrics_json -> 'events_by_type' ->> {customer_creation})::numeric, 0),
            0
        ) as n,
        coalesce((new.metrics_json -> 'events_by_type' ->> {customer_deletion})::numeric, 0)
        - case
            when jsonb_typeof(old.metrics_json -> 'events_by_type' -> {customer_deletion}) = 'number'
                then (old.metrics_json -> 'events_by_type' -> {customer_deletion})::numeric
            else 0
        end as deletions
    from rows as new
    join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
    where jsonb_typeof(old.metrics_json -> 'total_customers') = 'number'
        and coalesce(new.metrics_json -> 'total_customers', '0') < old.metrics_json -> 'total_customers'
),

without as materialized (
    select consumer_id
    from (select distinct consumer_id from fewer) as candidates
    where consumer_id::text <> all(%(accepted)s)
        and consumer_id not in (
            select consumer_id
            from {customers} as customers
            where consumer_id in (select consumer_id from fewer)
        )
),

-- How many nothing tells of. An end that became known since the row was written tells of one, if its deletion
-- has come since; or if it had come, and the customer's row was there until now.
unexplained as materialized (
    select known.*, known.n - ends.contradicted - least(ends.others, greatest(known.deletions, 0)) as missed
    from (
        select *, snapshot_timestamp as at
        from fewer
        where consumer_id in (select consumer_id from without)
    ) as known
    cross join lateral ({told_ends}) as ends
),

-- Who has more customers than were reported, where one has none left: they may have moved there. Those
-- whose creation has not come since, as they were there before: of them nobody's are not known.
more as materialized (
    select
        new.snapshot_timestamp,
        new.consumer_id,
        case when new.consumer_id is null then 0 else greatest(created.now - created.before, 0) end as created,
        case
            when new.consumer_id is null
                then coalesce((new.metrics_json ->> 'unattributed_customers')::numeric, 0)
            else (new.metrics_json ->> 'total_customers')::numeric
        end - case when jsonb_typeof(said) = 'number' then said::numeric else 0 end as n
    from (
        select distinct snapshot_timestamp
        from unexplained
        where missed > 0
    ) as instants
    join rendered_snapshots as new using (snapshot_timestamp)
    left join public.consumer_analytics as old
        on old.snapshot_timestamp = new.snapshot_timestamp
            and old.consumer_id is not distinct from new.consumer_id
    cross join lateral (
        select
            old.metrics_json
            -> case when new.consumer_id is null then 'unattributed_customers' else 'total_customers' end as said
    ) as before
    cross join lateral (
        select
            coalesce((new.metrics_json -> 'events_by_type' ->> {customer_creation})::numeric, 0) as now,
            case
                when jsonb_typeof(old.metrics_json -> 'events_by_type' -> {customer_creation}) = 'number'
                    then (old.metrics_json -> 'events_by_type' -> {customer_creation})::numeric
                else 0
            end as before
    ) as created
),

-- One that is theirs by its creation event has come late, and from nobody.
arrived as materialized (
    select owned.consumer_id, owned.since, owned.until
    from (
        select customer_id, consumer_id, created_at::timestamptz as since, 'infinity'::timestamptz as until
        from {customers} as customers
        where created_at is not null
        union all
        select customer_id, consumer_id, created_at, deleted_at
        from consumer_analytics_internal.deleted_customers
    ) as owned
    where coalesce(owned.consumer_id, '00000000-0000-0000-0000-000000000000') in (
        select coalesce(consumer_id, '00000000-0000-0000-0000-000000000000')
        from more
        where n > 0
    )
    and not exists (
        select
        from {told_events} as creation
        where creation.customer_id = owned.customer_id
            and creation.event_type::text = {customer_creation}
            and creation.consumer_id is not distinct from owned.consumer_id
    )
),

moved as (
    select snapshot_timestamp, sum(greatest(least(n, arrivals), known)) as n
    from (
        select
            more.snapshot_timestamp,
            more.n,
            case when more.consumer_id is null then 0 else more.n - more.created end as known,
            (
                select count(*)
                from arrived
                where arrived.consumer_id is not distinct from more.consumer_id
                    and (arrived.since < more.snapshot_timestamp or arrived.since is null)
                    and arrived.until >= more.snapshot_timestamp
            ) as arrivals
        from more
        where n > 0
    ) as each_of_them
    group by snapshot_timestamp
),

held as materialized (
    select
        owner.*,
        rendered.metrics_json -> 'incremental_stats' as rendered_window,
        {is_beside} as is_beside
    from unexplained as owner
    left join moved using (snapshot_timestamp)
    left join rendered_snapshots as rendered
        on rendered.consumer_id is null and rendered.snapshot_timestamp = owner.snapshot_timestamp
    where owner.missed > coalesce(moved.n, 0)
),

told as (
    update rendered_snapshots as new
    set metrics_json = new.metrics_json || jsonb_build_object(
        'total_customers', reported -> 'total_customers',
        'active_customers', coalesce(reported -> 'active_customers', '0'),
        'inactive_customers', coalesce(reported -> 'inactive_customers', '0'),
        'customers_by_status', coalesce(reported -> 'customers_by_status', '{{}}'),
        'avg_customer_lifetime_days', coalesce(reported -> 'avg_customer_lifetime_days', 'null'),
        'incremental_stats', (new.metrics_json -> 'incremental_stats') || jsonb_build_object(
            'new_customers_in_window', case
                when is_beside then new.metrics_json #> '{{incremental_stats,new_customers_in_window}}'
                else coalesce(reported #> '{{incremental_stats,new_customers_in_window}}', '0')
            end
        )
    )
    from held
    where new.consumer_id = held.consumer_id and new.snapshot_timestamp = held.snapshot_timestamp
),

put_back as (
    insert into rendered_snapshots (consumer_id, snapshot_timestamp, metrics_json)
    select
        consumer_id,
        snapshot_timestamp,
        reported || jsonb_build_object(
            'total_events', 0,
            'events_by_type', jsonb_build_object(),
            'incremental_stats', case
                when is_beside then rendered_window || '{{"new_customers_in_window": 0}}'
                else reported -> 'incremental_stats'
            end || jsonb_build_object('new_events_in_window', 0)
        )
    from held
    where not is_rendered
)

select array_agg(distinct snapshot_timestamp)
from held
