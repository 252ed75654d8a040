-- What is now, in one row: backfills at work, mails that wait, the latest run, the table.
with working as (
    select periods, periods_done
    from consumer_analytics_internal.backfills
    where backfill_id in ({at_work})
)

select
    (select count(*) from working) as backfills_running,
    (select coalesce(sum(periods), 0) from working) as backfill_periods_asked,
    (select coalesce(sum(periods_done), 0) from working) as backfill_periods_done,
    (
        select count(*)
        from consumer_analytics_internal.mails
        where sent_at is null
    ) as mails_waiting,
    (
        select coalesce(summary -> 'seconds', '{{}}')
        from consumer_analytics_internal.runs
        where state = 'success'
        order by finished_at desc nulls last
        limit 1
    ) as last_steps,
    (select version_num from consumer_analytics_internal.alembic_version) as schema_version,
    pg_total_relation_size('public.consumer_analytics') as snapshots_bytes,
    latest.snapshot_timestamp,
    latest.metrics_json as system
from (values (1)) as one (row)
left join lateral (
    select snapshot_timestamp, metrics_json
    from public.consumer_analytics
    where consumer_id is null
    order by snapshot_timestamp desc
    limit 1
) as latest on true
