-- DAGs that are paused, and the last that Airflow's log tells of each: who paused it,
-- or let it run. What was said of several DAGs at once names none of them, and counts
-- for each that was there. A DAG that was deleted after it was let run is new when it
-- is seen again. Its first version, which tells when that was, and the log may have
-- been cleaned up: then it does not count as new.
select
    dag.dag_id,
    last.at,
    last.who,
    last.event,
    last.for_several,
    last.is_pause,
    coalesce(
        case
            when last.at is null then log_begins.at <= first.created_at
            else not last.is_pause and last.at < first.created_at
        end,
        false
    ) as is_new,
    log_begins.at as log_begins,
    first.created_at as first_seen
from unnest(%(dags)s::text[]) with ordinality as wanted (dag_id, place)
join {dag} as dag on dag.dag_id = wanted.dag_id and dag.is_paused and not dag.is_stale
left join {dag_version} as first on first.dag_id = dag.dag_id and first.version_number = 1
cross join (select min(dttm) as at from {log}) as log_begins
left join lateral (
    select
        log.dttm as at,
        coalesce(log.owner_display_name, log.owner) as who,
        log.event,
        log.dag_id is distinct from dag.dag_id as for_several,
        log.event in ('paused', 'cli_dag_pause')
        or (log.event like 'patch_dag%%' and log.extra ~ '"is_paused": *true') as is_pause
    from {log} as log
    where log.event in ('paused', 'cli_dag_pause', 'cli_dag_unpause', 'patch_dag', 'patch_dags')
        and (log.event not like 'patch_dag%%' or log.extra ~ '"is_paused"')
        and (
            log.dag_id = dag.dag_id
            or (
                (log.event = 'patch_dags' or log.extra like '%%--treat-dag-id-as-regex%%')
                and (
                    log.dttm >= coalesce(first.created_at, '-infinity')
                    or exists (
                        select
                        from {log} as earlier
                        where earlier.dag_id = dag.dag_id and earlier.dttm < log.dttm
                    )
                )
            )
        )
    order by log.dttm desc, log.id desc
    limit 1
) as last on true
order by wanted.place
