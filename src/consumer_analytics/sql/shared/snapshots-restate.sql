-- Snapshots that are there but whose figures have changed: keep what was
-- reported, then say what is true. Rows whose figures stand are not touched.
-- A row keeps the window and the provenance that were noted when it was written;
-- what its document says of them may have been edited, and may be no document at all.
with asked as materialized (
    select distinct snapshot_timestamp
    from rendered_snapshots
),

known as materialized (
    select snapshot_timestamp, to_json(window_start) #>> '{{}}' as window_start, snapshot_source
    from consumer_analytics_internal.written_snapshots
    where snapshot_timestamp in (select snapshot_timestamp from asked)
),

apart as materialized (
    select
        snapshot_timestamp,
        unnest(consumers) as consumer_id,
        to_json(window_start) #>> '{{}}' as window_start,
        snapshot_source
    from consumer_analytics_internal.written_apart
    where snapshot_timestamp in (select snapshot_timestamp from asked)
),

paired as (
    select old.*, new.metrics_json as true_now
    from rendered_snapshots as new
    join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
    union all
    select old.*, new.metrics_json as true_now
    from rendered_snapshots as new
    join public.consumer_analytics as old
        on old.consumer_id is null and old.snapshot_timestamp = new.snapshot_timestamp
    where new.consumer_id is null
),

compared as (
    select
        paired.analytics_id,
        paired.consumer_id,
        paired.snapshot_timestamp,
        paired.metrics_json as reported,
        paired.created_at,
        true_now,
        case when jsonb_typeof(paired.metrics_json) = 'object' then paired.metrics_json else '{{}}' end as document,
        coalesce(
            apart.snapshot_source, known.snapshot_source, paired.metrics_json ->> 'snapshot_source'
        ) as snapshot_source,
        coalesce(apart.snapshot_source, known.snapshot_source) is not null as is_noted,
        coalesce(
            apart.window_start,
            known.window_start,
            paired.metrics_json #>> '{{incremental_stats,window_start}}',
            ''
        ) = true_now #>> '{{incremental_stats,window_start}}' as is_its_window
    from paired
    left join known on known.snapshot_timestamp = paired.snapshot_timestamp
    left join apart
        on apart.snapshot_timestamp = paired.snapshot_timestamp and apart.consumer_id = paired.consumer_id
),

different as materialized (
    select
        analytics_id,
        consumer_id,
        snapshot_timestamp,
        reported as metrics_json,
        created_at,
        is_its_window,
        true_now || jsonb_build_object(
            'snapshot_source', coalesce(to_jsonb(snapshot_source), true_now -> 'snapshot_source'),
            'etl_job', coalesce(
                case when not is_noted then document -> 'etl_job' end, true_now -> 'etl_job'
            ),
            'incremental_stats', case
                when is_its_window or jsonb_typeof(document -> 'incremental_stats') is distinct from 'object'
                    then true_now -> 'incremental_stats'
                else document -> 'incremental_stats'
            end
        ) as corrected
    from compared
    where document - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        <> true_now - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        -- What is new in a window can be compared where it is the same window; the window
        -- itself is no figure.
        or (
            is_its_window
            and true_now -> 'incremental_stats' is distinct from document -> 'incremental_stats'
            and (
                true_now #> '{{incremental_stats,new_customers_in_window}}',
                true_now #> '{{incremental_stats,new_events_in_window}}'
            ) is distinct from (
                document #> '{{incremental_stats,new_customers_in_window}}',
                document #> '{{incremental_stats,new_events_in_window}}'
            )
        )
),

-- At once for all: looked up for each while this statement adds to that table, it takes ever longer.
earlier as materialized (
    select one.analytics_id, max(one.reported_until) as reported_until
    from different
    join public.consumer_analytics_revisions as one using (analytics_id)
    group by one.analytics_id
),

changed as materialized (
    select different.*, earlier.reported_until
    from different
    left join earlier using (analytics_id)
),

kept as (
    {keep_reported}
    from changed as old
    returning snapshot_timestamp, {revision_digest} as digest
),

noted as (
    update consumer_analytics_internal.written_snapshots as written
    set digest = written.digest + moved.digest,
        revisions = written.revisions + moved.revisions,
        revisions_digest = written.revisions_digest + moved.revisions_digest,
        whole_digest = coalesce(moved.whole_digest, written.whole_digest)
    from (
        select
            snapshot_timestamp,
            sum(digest) as digest,
            sum(revisions) as revisions,
            sum(revisions_digest) as revisions_digest,
            max(whole_digest) as whole_digest
        from (
            select
                snapshot_timestamp,
                -({figures_digest})::numeric as digest,
                1 as revisions,
                0 as revisions_digest,
                null as whole_digest
            from changed
            union all
            select snapshot_timestamp, {figures_digest}, 0, 0, case when consumer_id is null then {whole_digest} end
            from (
                select consumer_id, snapshot_timestamp, corrected as metrics_json
                from changed
            ) as now_true
            union all
            select snapshot_timestamp, 0, 0, digest, null
            from kept
        ) as parts
        group by snapshot_timestamp
    ) as moved
    where written.snapshot_timestamp = moved.snapshot_timestamp
),

-- What is new in another window than the one computed now is told by computing that one.
again as (
    update consumer_analytics_internal.state
    set restate_after = least(restate_after, others.at - interval '1 microsecond')
    from (
        select min(snapshot_timestamp) as at
        from changed
        where not is_its_window
    ) as others
    where job_name = {job} and others.at is not null
)

update public.consumer_analytics as snapshot
set metrics_json = corrected
from changed
where snapshot.analytics_id = changed.analytics_id
