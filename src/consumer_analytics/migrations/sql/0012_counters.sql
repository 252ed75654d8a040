-- Counts that only grow, whatever is restarted, run again or removed after its time: what
-- metrics are read from. A row is one counter with the values of its labels.
create table consumer_analytics_internal.counters (
    name text not null,
    labels text[] not null default '{}',
    n double precision not null,
    changed_at timestamptz not null default clock_timestamp(),
    primary key (name, labels)
);

create function consumer_analytics_internal.count_up(
    counter text, of_labels text[], by double precision
) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    insert into consumer_analytics_internal.counters (name, labels, n)
    select counter, of_labels, by
    where by > 0
    on conflict (name, labels) do update
    set n = counters.n + excluded.n, changed_at = clock_timestamp();
end;

-- What a run adds when it ends. Its load holds the job's lock alone, so that no two of
-- them count to the same row at once.
create function consumer_analytics_internal.count_run(
    run consumer_analytics_internal.runs
) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    insert into consumer_analytics_internal.counters (name, labels, n)
    select name, labels, n
    from (
        select
            'runs' as name,
            array[
                run.snapshot_source,
                case
                    when run.state = 'failed' and run.summary ->> 'error_type' = 'BusyError'
                        then 'gave_up'
                    else run.state
                end
            ] as labels,
            1::double precision as n
        union all
        select told.name, told.labels, told.n
        from (
            values
            (
                'run_seconds',
                array[run.snapshot_source],
                extract(epoch from run.finished_at - run.opened_at)::double precision
            ),
            (
                'snapshots_written',
                array[run.snapshot_source],
                (run.summary ->> 'snapshots_written')::double precision
            ),
            ('events_read', '{}'::text[], (run.summary ->> 'rows_read')::double precision),
            ('new_events', '{}', (run.summary ->> 'new_events')::double precision),
            ('new_customers', '{}', (run.summary ->> 'new_customers')::double precision),
            ('events_corrected', '{found}', (run.summary #>> '{corrections,found}')::double precision),
            ('events_corrected', '{vanished}', (run.summary #>> '{corrections,vanished}')::double precision)
        ) as told (name, labels, n)
        where run.state = 'success'
        union all
        select counter.name, array[step.key], case counter.name when 'run_steps' then 1 else step.value::double precision end
        from jsonb_each_text(coalesce(run.summary -> 'seconds', '{}')) as step
        cross join (values ('run_step_seconds'), ('run_steps')) as counter (name)
        where run.state = 'success'
    ) as added
    -- A step that took no time has been done all the same.
    where n > 0 or name = 'run_step_seconds'
    on conflict (name, labels) do update
    set n = counters.n + excluded.n, changed_at = clock_timestamp();
end;

create function consumer_analytics_internal.run_ended() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform consumer_analytics_internal.count_run(new);
    return null;
end;
$$;
-- A run that is opened anew, as when its DAG run is cleared, ends once more.
create trigger runs_count after update on consumer_analytics_internal.runs
for each row when (new.state <> 'open' and old.state <> new.state)
execute function consumer_analytics_internal.run_ended();

-- A backfill's chunks are counted from its record, which is written in transactions of their
-- own: two sessions never wait for each other here in the middle of a chunk.
create function consumer_analytics_internal.backfill_moved() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform consumer_analytics_internal.count_up(
        'backfill_periods', '{}', new.periods_done - old.periods_done
    );
    perform consumer_analytics_internal.count_up(
        'snapshots_written', array[new.snapshot_source], new.snapshots_written - old.snapshots_written
    );
    perform consumer_analytics_internal.count_up(
        'snapshots_restated', array['backfill'], new.snapshots_restated - old.snapshots_restated
    );
    if new.state <> old.state then
        perform consumer_analytics_internal.count_up('backfills', array[new.state], 1);
    end if;
    return null;
end;
$$;
create trigger backfills_count after update on consumer_analytics_internal.backfills
for each row execute function consumer_analytics_internal.backfill_moved();

-- Everyone else restates under the job's lock.
create function consumer_analytics_internal.revisions_came() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform consumer_analytics_internal.count_up('snapshots_restated', array[by_whom], n)
    from (
        select
            case when reason ~ '^(run|sweep|audit) ' then split_part(reason, ' ', 1) else 'other' end as by_whom,
            count(*)::double precision as n
        from new_rows
        where reason not like 'backfill %'
        group by 1
    ) as counted;
    return null;
end;
$$;
create trigger revisions_count after insert on public.consumer_analytics_revisions
referencing new table as new_rows
for each statement execute function consumer_analytics_internal.revisions_came();

create function consumer_analytics_internal.alarm_raised() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform consumer_analytics_internal.count_up(
        tg_argv[0], array[to_jsonb(new) ->> tg_argv[1]], 1
    );
    return null;
end;
$$;
create trigger incidents_count after insert on consumer_analytics_internal.incidents
for each row execute function consumer_analytics_internal.alarm_raised('incidents_opened', 'subject');
create trigger task_failures_count after insert on consumer_analytics_internal.task_failures
for each row execute function consumer_analytics_internal.alarm_raised('task_failures', 'dag_id');
create trigger deadline_misses_count after insert on consumer_analytics_internal.deadline_misses
for each row execute function consumer_analytics_internal.alarm_raised('deadline_misses', 'dag_id');

revoke all on function
    consumer_analytics_internal.count_up(text, text[], double precision),
    consumer_analytics_internal.count_run(consumer_analytics_internal.runs)
from public;

-- What there was before counting began, as far as it is still known.
select consumer_analytics_internal.count_run(run)
from consumer_analytics_internal.runs as run
where state <> 'open';
select
    consumer_analytics_internal.count_up('backfill_periods', '{}', sum(periods_done)),
    consumer_analytics_internal.count_up(
        'snapshots_written', array[snapshot_source], sum(snapshots_written)
    ),
    consumer_analytics_internal.count_up('snapshots_restated', array['backfill'], sum(snapshots_restated))
from consumer_analytics_internal.backfills
group by snapshot_source;
select consumer_analytics_internal.count_up('backfills', array[state], count(*))
from consumer_analytics_internal.backfills
where state <> 'running'
group by state;
select consumer_analytics_internal.count_up('incidents_opened', array[subject], count(*))
from consumer_analytics_internal.incidents
group by subject;
select consumer_analytics_internal.count_up('task_failures', array[dag_id], count(*))
from consumer_analytics_internal.task_failures
group by dag_id;
select consumer_analytics_internal.count_up('deadline_misses', array[dag_id], count(*))
from consumer_analytics_internal.deadline_misses
group by dag_id;
