-- The figures of this moment: what a snapshot would say if it were written now, for whoever reads
-- snapshots. Readers and tenants have no right on the sources, so functions of the owner's read
-- them, and answer a tenant with its own consumers alone.

-- Where the sources are, which settings say, and the server does not know.
do $$
begin
    execute format(
        'create function consumer_analytics_internal.source_schema() returns text language sql immutable '
        'set search_path = pg_catalog, pg_temp return %L::text',
        current_setting('consumer_analytics.source_schema')
    );
end
$$;

-- The instant before which no open transaction can write a row any more, by the rules of a run:
-- see etl/holdback.py. NULL where that cannot be told, with the reason.
create function consumer_analytics_internal.settled(out settled_to timestamptz, out reason text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    looked_at timestamptz := clock_timestamp();
    hidden boolean;
begin
    if pg_is_in_recovery() then
        reason := 'this server is a standby, which does not see the transactions of its primary';
        return;
    end if;
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        reason := 'this transaction reads as of its beginning; ask in one that is READ COMMITTED';
        return;
    end if;
    if exists (
        select
        from consumer_analytics_internal.state
        join public.etl_job_watermarks using (job_name)
        where state.job_name = 'consumer_analytics_daily'
            and (
                etl_job_watermarks.last_processed_timestamp < state.processed_through
                or exists (
                    select from consumer_analytics_internal.touched_days
                    where touched_days.day < state.processed_through
                )
            )
            and state.processed_through > '-infinity'
    ) then
        reason := 'the next run counts days again that were counted';
        return;
    end if;
    -- Within a transaction sessions are shown as at the first look.
    perform pg_stat_clear_snapshot();
    with others_tables as (
        select relation.oid, relation.relowner, relation.relacl
        from pg_class as relation
        join pg_namespace as namespace on namespace.oid = relation.relnamespace
        where relation.relkind in ('r', 'p', 'v', 'f')
            and relation.relpersistence <> 't'
            and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'consumer_analytics_internal')
            and not (
                namespace.nspname = 'public'
                and relation.relname in ('consumer_analytics', 'consumer_analytics_revisions', 'etl_job_watermarks')
            )
    ),

    logins as materialized (
        select oid
        from pg_roles
        where oid in (select usesysid from pg_stat_activity where datname = current_database())
    ),

    writers as materialized (
        select login.oid
        from logins as login
        where exists (
            select from pg_roles as role
            where pg_has_role(login.oid, role.oid, 'member')
                and (
                    role.rolsuper
                    or role.rolname in ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
                    or role.rolcreaterole and current_setting('server_version_num')::int < 160000
                )
        )
        or exists (
            select from others_tables as relation
            left join pg_attribute as written on written.attrelid = relation.oid and written.attacl is not null
            where pg_has_role(login.oid, relation.relowner, 'member')
                or exists (
                    select from aclexplode(relation.relacl || written.attacl) as acl
                    where acl.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
                        and (acl.grantee = 0 or pg_has_role(login.oid, acl.grantee, 'member'))
                )
        )
        or exists (
            select from pg_proc as function
            join pg_namespace as namespace on namespace.oid = function.pronamespace
            where function.prosecdef
                and namespace.nspname not in ('pg_catalog', 'information_schema', 'consumer_analytics_internal')
                and (
                    pg_has_role(login.oid, function.proowner, 'member')
                    or exists (
                        select from aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as acl
                        where acl.privilege_type = 'EXECUTE'
                            and (acl.grantee = 0 or pg_has_role(login.oid, acl.grantee, 'member'))
                    )
                )
        )
    ),

    -- All that is open, this transaction too: a row of its own may come later. Our own sessions
    -- that write no source are not told apart by their tag: they are short.
    open as (
        select
            activity.query = '<insufficient privilege>' as is_hidden,
            case
                when activity.xact_start is not null then activity.xact_start
                when activity.state <> 'idle' and held.in_transaction then activity.backend_start
                when activity.state in ('active', 'fastpath function call')
                    and activity.backend_type = 'client backend'
                    then activity.query_start
            end as began
        from pg_stat_activity as activity
        left join (
            select pid, bool_or(locktype = 'virtualxid') as in_transaction
            from pg_locks
            where locktype = 'virtualxid'
            group by pid
        ) as held using (pid)
        where activity.datname = current_database()
            and activity.usesysid is not null
            and (activity.backend_type is null or activity.backend_type <> 'parallel worker')
            and not coalesce(
                activity.backend_type = 'walsender' and activity.query ilike 'start\_replication%', false
            )
            and (
                activity.usesysid in (select oid from writers)
                -- Of a login that has been dropped.
                or activity.usesysid not in (select oid from logins)
                or activity.pid in (
                    select pg_locks.pid
                    from pg_locks
                    join others_tables on others_tables.oid = pg_locks.relation
                    where pg_locks.locktype = 'relation'
                        and pg_locks.granted
                        and pg_locks.mode = 'RowExclusiveLock'
                )
            )
    )

    select min(began), coalesce(bool_or(is_hidden), false)
    into settled_to, hidden
    from open;
    if hidden then
        settled_to := null;
        reason := 'whoever owns the figures may not see when transactions of other sessions began';
        return;
    end if;
    -- After the sessions: one that prepares in between is seen twice rather than not at all. When
    -- it began is not told: after what some run saw before it was prepared.
    settled_to := least(
        settled_to,
        -- A session fixes its transaction's start a moment before others can see it.
        looked_at - interval '200 milliseconds',
        (
            select min(
                coalesce(
                    (
                        select max(horizon.none_open_before)
                        from consumer_analytics_internal.transaction_horizons as horizon
                        where horizon.observed_at < prepared.prepared
                    ),
                    '-infinity'
                )
            )
            from pg_prepared_xacts as prepared
            where prepared.database = current_database()
        )
    );
end
$$;

-- The figures as of an instant from what was processed on: the totals that runs keep, and the rows
-- since; today's customers, and beside them those of whom their rows do not tell all. Whose lives
-- have an end, an event in the future or no time in their row are looked at one by one, from all
-- that tells of them.
create function consumer_analytics_internal.figures_at(at timestamptz, wanted uuid[])
returns table (consumer_id uuid, snapshot_timestamp timestamptz, metrics_json jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $figures$
#variable_conflict use_column
declare
    source text := consumer_analytics_internal.source_schema();
    unfit text;
    mark timestamptz;
    may_lack_time boolean;
begin
    -- A view's code would run with its reader's rights, which are the owner's here; other kinds hide
    -- what is in flight.
    with recursive below as (
        select pg_class.oid, pg_class.relkind, pg_class.relname
        from pg_class
        join pg_namespace on pg_namespace.oid = pg_class.relnamespace
        where pg_namespace.nspname = source
            and pg_class.relname in ('consumers', 'customers', 'customer_events')
            and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        union
        select pg_class.oid, pg_class.relkind, pg_class.relname
        from below
        join pg_inherits on pg_inherits.inhparent = below.oid
        join pg_class on pg_class.oid = pg_inherits.inhrelid
    )
    select below.relname into unfit from below where below.relkind not in ('r', 'p') order by 1 limit 1;
    if unfit is not null then
        raise exception using
            errcode = 'feature_not_supported',
            message = format('consumer_analytics_now reads tables only, and %I.%I is none', source, unfit);
    end if;
    select coalesce(bool_or(not attribute.attnotnull), true)
    into may_lack_time
    from pg_attribute as attribute
    join pg_class as class on class.oid = attribute.attrelid
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where namespace.nspname = source and class.relname = 'customers' and attribute.attname = 'created_at';
    -- What was processed is written into the statement, so that the planner knows how little is
    -- new. Where a run moves it in between, it is asked again.
    for attempt in 1 .. 10 loop
        select state.processed_through into mark
        from consumer_analytics_internal.state
        where state.job_name = 'consumer_analytics_daily';
        return query execute format(
            $statement$
with since as (
    select
        state.processed_through as mark,
        case when state.processed_through = '-infinity' then '1970-01-01Z' else state.processed_through end as window_start,
        greatest(%2$L::timestamptz, state.processed_through) as at
    from consumer_analytics_internal.state
    where state.job_name = 'consumer_analytics_daily' and state.processed_through = %1$L
),

-- The rows since: by customer those that tell of a customer's life.
recent as materialized (
    select
        consumer_id,
        event_type::text as event_type,
        case
            when event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion') then customer_id
        end as customer_id,
        count(*) filter (where created_at < %3$L::timestamptz) as n,
        count(*) filter (where created_at < %3$L::timestamptz and created_at >= %4$L::timestamptz) as fresh,
        bool_or(created_at >= %3$L::timestamptz) as is_later
    from %5$I.customer_events
    where created_at >= %1$L::timestamptz
    group by 1, 2, 3
),

by_type as materialized (
    select consumer_id, event_type, sum(n)::bigint as n, sum(fresh)::bigint as fresh
    from (
        select consumer_id, event_type, n, 0 as fresh
        from consumer_analytics_internal.event_totals
        union all
        select
            consumer_id,
            case
                when event_type ~ '\S' is not true then '(none)'
                when char_length(event_type) > 200
                    then
                        left(event_type, 200)
                        || ' #' || left(encode(sha256(convert_to(event_type, 'UTF8')), 'hex'), 16)
                else event_type
            end,
            n,
            fresh
        from recent
    ) as counts
    group by 1, 2
),

concerned as materialized (
    select customer_id
    from recent
    where customer_id is not null
        and (
            event_type = 'customer_deletion'
            or is_later
            or exists (
                select from consumer_analytics_internal.deleted_customers as known
                where known.customer_id = recent.customer_id
            )
        )
    union
    select customer_id
    from consumer_analytics_internal.deleted_customers
    where deleted_at >= %1$L::timestamptz or reborn_at is not null
    %6$s
),

told as materialized (
    select
        customer_id,
        created_at::timestamptz as at,
        case event_type::text
            when 'customer_creation' then 'creation'
            when 'customer_status_change' then 'change'
            else 'deletion'
        end as kind,
        event_id::text collate "C" as event_id,
        consumer_id,
        case when event_type::text = 'customer_status_change' then payload_json ->> 'old_status' end as old_status,
        case when event_type::text = 'customer_status_change' then payload_json ->> 'new_status' end as new_status,
        case when event_type::text <> 'customer_status_change' then payload_json ->> 'status' end as status
    from %5$I.customer_events
    where customer_id in (select customer_id from concerned)
        and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and created_at is not null
),

remembered as materialized (
    select *
    from consumer_analytics_internal.deleted_customers
    where customer_id in (select customer_id from concerned)
),

rows_now as materialized (
    select customer_id, consumer_id, status::text as status, created_at::timestamptz as created_at
    from %5$I.customers
    where customer_id in (select customer_id from concerned)
),

-- With ends and returns that no event in the source tells of.
marks as materialized (
    select * from told
    union all
    select
        customer_id, deleted_at, case ended_by when 'row' then 'gone' else 'deletion' end, null, consumer_id, null, null,
        status
    from remembered
    where (
        ended_by = 'row'
        or exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type = 'customer_deletion'
                and (
                    (vanished.since <= remembered.deleted_at and vanished.until > remembered.deleted_at)
                    or (
                        vanished.consumer_id is null
                        and date_trunc('day', vanished.since) = date_trunc('day', remembered.deleted_at)
                    )
                )
        )
    )
    and not exists (
        select from told
        where told.customer_id = remembered.customer_id and told.at = remembered.deleted_at and told.kind = 'deletion'
    )
    union all
    select customer_id, reborn_at, 'back', null, null, null, null, null
    from remembered
    where reborn_at is not null
        and not exists (
            select from told
            where told.customer_id = remembered.customer_id and told.at = remembered.reborn_at and told.kind = 'creation'
        )
),

-- All events of those whose birth or consumer their lifecycle events and rows may not tell.
others as materialized (
    select customer_id, created_at::timestamptz as at, consumer_id
    from %5$I.customer_events
    where created_at is not null
        and customer_id in (
            select customer_id
            from marks
            group by customer_id
            having bool_or(kind in ('deletion', 'gone'))
                and (
                    min(at) filter (where kind = 'creation') is null
                    or min(at) filter (where kind = 'creation') >= min(at) filter (where kind in ('deletion', 'gone'))
                    or bool_or(kind in ('deletion', 'gone') and consumer_id is null)
                )
            union
            select customer_id
            from rows_now
            where created_at is null
        )
),

-- Several of a kind in one microsecond are one.
firsts as materialized (
    select distinct on (customer_id, at, kind) *
    from marks
    where kind <> 'change'
        and customer_id in (select customer_id from marks where kind in ('deletion', 'gone'))
    order by customer_id, at, kind, event_id
),

-- A deletion event tells better of an end than the row that went does.
edges as materialized (
    select *, kind in ('deletion', 'gone') as is_end
    from (
        select *, lag(kind) over beside as before, lead(kind) over beside as after
        from firsts
        window beside as (
            partition by customer_id order by at, case kind when 'gone' then 1 when 'deletion' then 2 else 3 end
        )
    ) as beside
    where kind <> 'gone' or ('deletion' = before or 'deletion' = after) is not true
),

-- In one microsecond an end and a creation leave things as they were before it.
moments as materialized (
    select
        customer_id,
        at,
        count(*) filter (where decided) over (partition by customer_id order by at) as place,
        is_both,
        is_open
    from (
        select
            customer_id,
            at,
            bool_or(is_end) and bool_or(not is_end) as is_both,
            bool_or(is_end) is distinct from bool_or(not is_end) as decided,
            case when bool_or(is_end) is distinct from bool_or(not is_end) then not bool_or(is_end) end as is_open
        from edges
        group by customer_id, at
    ) as kinds
),

ordered as materialized (
    select
        edges.*,
        case when moments.is_both and not coalesce(last.is_open, evidence.is_there) then not is_end else is_end end
            as comes_first
    from edges
    join moments using (customer_id, at)
    left join (
        select customer_id, place, bool_or(is_open) as is_open
        from moments
        where place > 0
        group by customer_id, place
    ) as last using (customer_id, place)
    cross join lateral (
        select
            moments.is_both
            and last.is_open is null
            and (
                exists (select from marks as one where one.customer_id = edges.customer_id and one.at < edges.at)
                or exists (select from others as one where one.customer_id = edges.customer_id and one.at < edges.at)
                or exists (
                    select from rows_now as one where one.customer_id = edges.customer_id and one.created_at < edges.at
                )
                or exists (
                    select from remembered as one
                    where one.customer_id = edges.customer_id
                        and one.deleted_at >= edges.at
                        and one.born_from = 'row'
                        and one.created_at < edges.at
                )
            ) as is_there
    ) as evidence
),

-- An end where nothing was open changes nothing, nor does a creation within a life.
turns as materialized (
    select *
    from (
        select *, lag(is_end) over (partition by customer_id order by at, comes_first desc) as was_end
        from ordered
    ) as sequence
    where case when is_end then was_end is distinct from true else was_end end
),

stretches as materialized (
    select
        *,
        count(*) filter (where is_end) over (partition by customer_id) as ends,
        count(*) filter (where is_end) over (
            partition by customer_id order by at, comes_first desc rows unbounded preceding
        ) as place
    from turns
),

past as materialized (
    select
        ending.customer_id,
        ending.place,
        ending.ends,
        ending.at as ended,
        ending.kind,
        ending.consumer_id,
        ending.status,
        coalesce(lag(ending.at) over (partition by ending.customer_id order by ending.place), '-infinity')
            as previous_end,
        coalesce(opening.at, '-infinity') as opened_at
    from stretches as ending
    left join stretches as opening
        on opening.customer_id = ending.customer_id and opening.place = ending.place - 1 and not opening.is_end
    where ending.is_end
),

-- The life that goes on of those whose row is there: a deletion that neither a creation follows nor a
-- later row contradicts the row, which wins.
going_on as materialized (
    select
        customer_id,
        consumer_id,
        status,
        created_at,
        is_contradicted,
        case when is_contradicted then end_before else coalesce(last_end, '-infinity') end as previous_end,
        case
            when is_contradicted then opened_before
            else coalesce(opened_after, case when last_end is not null then created_at end, '-infinity')
        end as opened_at
    from (
        select
            row.*,
            past.ended as last_end,
            past.previous_end as end_before,
            past.opened_at as opened_before,
            opening.at as opened_after,
            past.ended is not null and opening.at is null and (row.created_at >= past.ended) is not true
                as is_contradicted
        from rows_now as row
        left join past on past.customer_id = row.customer_id and past.place = past.ends
        left join stretches as opening
            on opening.customer_id = row.customer_id and opening.place = past.ends and not opening.is_end
    ) as judged
),

-- Consumers of which events have vanished: from when on, and whether creations are among them.
affected as materialized (
    select
        coalesce(consumer_id, '00000000-0000-0000-0000-000000000000') as consumer_id,
        min(since) as since,
        bool_or(event_type = 'customer_creation') as without_creations
    from consumer_analytics_internal.vanished_events
    group by 1
),

every_life as (
    select
        customer_id, null::timestamptz as ended, consumer_id, status, created_at as row_created_at, previous_end, opened_at,
        null as kind
    from going_on
    union all
    select customer_id, ended, consumer_id, status, null, previous_end, opened_at, kind
    from past
    where not exists (
        select from going_on
        where going_on.customer_id = past.customer_id and is_contradicted and past.place = past.ends
    )
),

lives as materialized (
    select
        life.customer_id,
        life.previous_end,
        life.opened_at,
        case
            when life.ended is null then life.consumer_id
            when known.consumer_from = 'row' then known.consumer_id
            else coalesce(life.consumer_id, of_lifecycle.consumer_id, of_any.consumer_id, known.consumer_id)
        end as consumer_id,
        case
            when life.ended is null then
                case
                    when life.row_created_at >= life.previous_end then life.row_created_at
                    else coalesce(creation.at, nullif(life.opened_at, '-infinity'), first_of_any.at, 'infinity')
                end
            when known.born_from = 'row' and known.created_at >= life.previous_end then known.created_at
            when affected.since is not null and known.born_from = 'creation' then least(known.created_at, creation.at)
            when creation.at is not null then creation.at
            when life.opened_at > '-infinity' then life.opened_at
            when affected.since is not null and known.born_from in ('event', 'deletion')
                then least(known.created_at, first_of_any.at)
            when affected.without_creations then null
            else least(first_of_any.at, life.ended)
        end as born,
        coalesce(life.ended, 'infinity') as ended,
        case
            when life.ended is null then coalesce(life.status, '')
            when life.kind = 'gone' then coalesce(life.status, known.status)
            else life.status
        end as status,
        creation.at as creation_at,
        creation.status as creation_status
    from every_life as life
    -- What capture saw go may have gone a moment before or after its deletion is said to be.
    left join lateral (
        select remembered.*
        from remembered
        where remembered.customer_id = life.customer_id
            and life.ended is not null
            and (
                remembered.deleted_at = life.ended
                or (remembered.row_status is not null and remembered.deleted_at > life.previous_end)
            )
        order by remembered.deleted_at = life.ended desc, remembered.deleted_at
        limit 1
    ) as known on true
    left join lateral (
        select mark.at, mark.status
        from marks as mark
        where mark.customer_id = life.customer_id
            and mark.kind = 'creation'
            and mark.at >= greatest(life.previous_end, life.opened_at)
            and mark.at <= coalesce(life.ended, 'infinity')
        order by mark.at, mark.event_id
        limit 1
    ) as creation on true
    left join lateral (
        select mark.consumer_id
        from marks as mark
        where life.ended is not null
            and life.consumer_id is null
            and mark.customer_id = life.customer_id
            and mark.at <= life.ended
            and mark.consumer_id is not null
        order by mark.at desc, mark.event_id desc
        limit 1
    ) as of_lifecycle on true
    left join lateral (
        select other.consumer_id
        from others as other
        where life.ended is not null
            and life.consumer_id is null
            and other.customer_id = life.customer_id
            and other.at <= life.ended
            and other.consumer_id is not null
        order by other.at desc
        limit 1
    ) as of_any on true
    left join lateral (
        select min(other.at) as at
        from others as other
        where other.customer_id = life.customer_id
            and other.at >= greatest(life.previous_end, life.opened_at)
            and other.at <= coalesce(life.ended, 'infinity')
    ) as first_of_any on true
    left join affected
        on affected.consumer_id = coalesce(life.consumer_id, known.consumer_id, '00000000-0000-0000-0000-000000000000')
        and affected.since < life.ended
),

there as materialized (
    select *
    from lives
    where coalesce(born, '-infinity') < %3$L::timestamptz and ended >= %3$L::timestamptz
),

-- Changes that say what was before them, by microsecond.
changes as materialized (
    select
        life.customer_id,
        mark.at,
        array_agg(mark.old_status order by mark.event_id) as olds,
        array_agg(mark.new_status order by mark.event_id) as news
    from there as life
    join marks as mark
        on mark.customer_id = life.customer_id
        and mark.at > life.previous_end
        and mark.at >= life.opened_at
        and mark.at <= life.ended
    where mark.kind = 'change' and mark.old_status is not null
    group by life.customer_id, mark.at
),

-- The last stretch's status: the row's, the deletion's, what the last change led to, what the customer
-- was created as.
last_words as materialized (
    select
        life.*,
        coalesce(life.status, last.new_status, life.creation_status, '') as last_status
    from there as life
    left join lateral (
        select mark.new_status
        from marks as mark
        cross join lateral (
            select count(*) filter (where beside.new_status = mark.new_status)
                > count(*) filter (where beside.old_status = mark.new_status) as is_end
            from marks as beside
            where beside.customer_id = mark.customer_id
                and beside.at = mark.at
                and beside.kind = 'change'
                and beside.old_status is not null
        ) as chain
        where life.status is null
            and mark.customer_id = life.customer_id
            and mark.kind = 'change'
            and mark.old_status is not null
            and mark.new_status is not null
            and mark.at > life.previous_end
            and mark.at >= life.opened_at
            and mark.at <= life.ended
        order by mark.at desc, is_end desc, case when is_end then mark.event_id end, mark.event_id desc
        limit 1
    ) as last on true
),

undone as (
    select distinct on (customer_id) customer_id, status
    from (
        select
            customer_id,
            changes.at,
            consumer_analytics_internal.chain_start(
                olds, news, coalesce(lead(olds[1]) over (partition by customer_id order by changes.at), last_status)
            ) as status
        from changes
        join last_words using (customer_id)
        where changes.at >= %3$L::timestamptz
    ) as steps
    where status is not null
    order by customer_id, at
),

-- Today's customers as their rows have them, without those whom more is told of, and these.
by_status as materialized (
    select
        consumer_id,
        case when status ~ '\S' then status else '(none)' end as status,
        sum(n)::bigint as n,
        sum(dated)::bigint as dated,
        sum(created_us) as created_us,
        sum(born)::bigint as born
    from (
        select
            consumer_id,
            status::text as status,
            count(*) as n,
            count(*) filter (where isfinite(created_at)) as dated,
            sum((tstzrange_subdiff(created_at::timestamptz, 'epoch') * 1e6)::bigint) filter (where isfinite(created_at))
                as created_us,
            count(*) filter (where created_at >= %4$L::timestamptz) as born
        from %5$I.customers
        where created_at < %3$L::timestamptz
        group by consumer_id, status::text
        union all
        select
            consumer_id,
            status,
            -1,
            case when isfinite(created_at) then -1 end,
            case when isfinite(created_at) then -(tstzrange_subdiff(created_at, 'epoch') * 1e6)::bigint end,
            case when created_at >= %4$L::timestamptz then -1 end
        from rows_now
        where created_at < %3$L::timestamptz
        union all
        select
            consumer_id,
            case
                when undone.status is not null then undone.status
                when life.creation_at > life.born
                    and life.creation_status is not null
                    and life.creation_at >= %3$L::timestamptz
                    and not exists (select from changes where changes.customer_id = life.customer_id)
                    then life.creation_status
                else life.last_status
            end,
            1,
            case when isfinite(born) then 1 end,
            case when isfinite(born) then (tstzrange_subdiff(born, 'epoch') * 1e6)::bigint end,
            case when born >= %4$L::timestamptz then 1 end
        from last_words as life
        left join undone using (customer_id)
    ) as counts
    group by 1, 2
),

of_consumers as materialized (
    select
        consumer_id,
        coalesce(events.n, 0) as events,
        coalesce(events.fresh, 0) as new_events,
        coalesce(customers.n, 0) as customers,
        coalesce(customers.active, 0) as active,
        coalesce(customers.inactive, 0) as inactive,
        coalesce(customers.born, 0) as new_customers,
        customers.dated,
        customers.created_us,
        coalesce(events.types, '{}') as types,
        coalesce(customers.statuses, '{}') as statuses
    from (
        select consumer_id from %5$I.consumers where created_at < %3$L::timestamptz
        union select consumer_id from by_type where n > 0
        union select consumer_id from by_status where n > 0
    ) as listed
    left join (
        select
            consumer_id,
            sum(n)::bigint as n,
            sum(fresh)::bigint as fresh,
            jsonb_object_agg(event_type, n) filter (where n <> 0) as types
        from by_type
        group by consumer_id
    ) as events using (consumer_id)
    left join (
        select
            consumer_id,
            sum(n)::bigint as n,
            sum(n) filter (where status = 'ACTIVE')::bigint as active,
            sum(n) filter (where status = 'INACTIVE')::bigint as inactive,
            sum(dated)::bigint as dated,
            sum(created_us) as created_us,
            sum(born)::bigint as born,
            jsonb_object_agg(status, n) filter (where n <> 0) as statuses
        from by_status
        group by consumer_id
    ) as customers using (consumer_id)
    where consumer_id is not null
),

documents as (
    select
        consumer_id,
        jsonb_build_object(
            'total_customers', customers,
            'active_customers', active,
            'inactive_customers', inactive,
            'customers_by_status', statuses,
            'avg_customer_lifetime_days', case
                when dated > 0
                    then round(
                        (dated * (extract(epoch from %3$L::timestamptz) * 1000000) - created_us) / dated / 86400000000, 2
                    )
            end,
            'total_events', events,
            'events_by_type', types
        ) as figures,
        new_customers,
        new_events
    from of_consumers
    where %7$L::uuid[] is null or consumer_id = any (%7$L::uuid[])
    union all
    select
        null,
        jsonb_build_object(
            'snapshot_type', 'GLOBAL',
            'total_customers_all_consumers', coalesce(sum(customers), 0)::bigint,
            'active_customers_all_consumers', coalesce(sum(active), 0)::bigint,
            'inactive_customers_all_consumers', coalesce(sum(inactive), 0)::bigint,
            'customers_by_status_all_consumers', coalesce(
                (
                    select jsonb_object_agg(status, n) filter (where n <> 0)
                    from (
                        select status, sum(n)::bigint as n from by_status where consumer_id is not null group by status
                    ) as sums
                ),
                '{}'
            ),
            'total_events_all_consumers', coalesce(sum(events), 0)::bigint,
            'events_by_type_all_consumers', coalesce(
                (
                    select jsonb_object_agg(event_type, n) filter (where n <> 0)
                    from (
                        select event_type, sum(n)::bigint as n from by_type where consumer_id is not null group by event_type
                    ) as sums
                ),
                '{}'
            ),
            'consumers_in_system', count(*),
            'system_wide_active_ratio', case
                when sum(customers) > 0 then round(sum(active) / sum(customers), 4) else 0
            end,
            'unattributed_customers', coalesce((select sum(n)::bigint from by_status where consumer_id is null), 0),
            'unattributed_events', coalesce((select sum(n)::bigint from by_type where consumer_id is null), 0)
        ),
        coalesce(sum(new_customers), 0)::bigint,
        coalesce(sum(new_events), 0)::bigint
    from of_consumers
    having %7$L::uuid[] is null
)

select
    documents.consumer_id,
    since.at,
    documents.figures || jsonb_build_object(
        'etl_job', 'consumer_analytics_daily',
        'snapshot_source', 'now',
        'incremental_stats', jsonb_build_object(
            'window_start', since.window_start,
            'window_end', since.at,
            'new_customers_in_window', new_customers,
            'new_events_in_window', new_events
        )
    )
from since
cross join documents
$statement$,
            mark,
            at,
            greatest(at, mark),
            case when mark = '-infinity' then '1970-01-01Z' else mark end,
            source,
            case
                when may_lack_time
                    then format('union select customer_id from %I.customers where created_at is null', source)
                else ''
            end,
            wanted
        );
        -- A tenant without figures has no row either way.
        if found or exists (
            select from consumer_analytics_internal.state
            where state.job_name = 'consumer_analytics_daily' and state.processed_through = mark
        ) then
            return;
        end if;
    end loop;
    raise exception using
        errcode = 'serialization_failure',
        message = 'runs moved what is processed each time that it was read; ask again';
end
$figures$;

-- What the view shows: of everybody; to a tenant of its own consumers, by its login, as the policy
-- of the snapshots has it. Read-only and in a session's settings of ours, so that no session
-- changes what is read, and nothing that is read changes anything.
create function consumer_analytics_internal.figures_now()
returns table (
    consumer_id uuid,
    snapshot_timestamp timestamptz,
    settled_to timestamptz,
    unsettled_because text,
    metrics_json jsonb
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set standard_conforming_strings = 'on'
set array_nulls = 'on'
set transform_null_equals = 'off'
set row_security = 'off'
set jit = 'off'
set work_mem = '64MB'
-- What the session would have the server tell of statements, such as their plans, is not its own.
set client_min_messages = 'error'
as $$
#variable_conflict use_column
declare
    -- As whom the session asks; within this function the server says the owner.
    asker text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
    is_limited boolean;
    began timestamptz := clock_timestamp();
    settled record;
    answer record;
begin
    select exists (
        select
        from pg_policy
        cross join unnest(pg_policy.polroles) as held (role)
        join pg_roles as login on login.rolname in (session_user, asker)
        where pg_policy.polrelid = 'public.consumer_analytics'::regclass
            and not pg_policy.polpermissive
            and not login.rolsuper
            and (held.role = 0 or pg_has_role(login.oid, held.role, 'usage'))
    ) into is_limited;
    begin
        perform set_config('transaction_read_only', 'on', true);
        -- First who is writing, then what is there.
        settled := consumer_analytics_internal.settled();
        return query
        select found.consumer_id, found.snapshot_timestamp, settled.settled_to, settled.reason, found.metrics_json
        from consumer_analytics_internal.figures_at(
            began, case when is_limited then consumer_analytics_internal.own_consumers() end
        ) as found;
    exception
        -- Said anew, in a line: what the server adds is the statement, and may quote a row of
        -- somebody else's.
        when query_canceled or feature_not_supported then
            raise exception using errcode = sqlstate, message = sqlerrm;
        when others then
            if is_limited then
                raise exception 'the figures of this moment cannot be read (%); the operator sees why', sqlstate;
            end if;
            raise exception using errcode = sqlstate, message = sqlerrm;
    end;
end
$$;

revoke execute on function consumer_analytics_internal.source_schema() from public;
revoke execute on function consumer_analytics_internal.settled() from public;
revoke execute on function consumer_analytics_internal.figures_at(timestamptz, uuid[]) from public;
revoke execute on function consumer_analytics_internal.figures_now() from public;

create view public.consumer_analytics_now with (security_invoker = true) as
select consumer_id, snapshot_timestamp, settled_to, unsettled_because, metrics_json
from consumer_analytics_internal.figures_now();

comment on view public.consumer_analytics_now is
    'The figures of this moment: a row per consumer, and one with consumer_id NULL for the whole system.';
comment on column public.consumer_analytics_now.consumer_id is
    'Whose figures; NULL is the whole system.';
comment on column public.consumer_analytics_now.snapshot_timestamp is
    'The instant of the statement; what happens at it or later is not counted.';
comment on column public.consumer_analytics_now.settled_to is
    'What happened before it can not change any more by what is still to be committed; NULL where that cannot be told.';
comment on column public.consumer_analytics_now.unsettled_because is
    'Why settled_to is NULL.';
comment on column public.consumer_analytics_now.metrics_json is
    'The figures, under the keys of a snapshot.';
