-- What an audit goes on from, as it is now: capture's triggers with the tables that they stand on,
-- what is noted as vanished, and the notes that an audit of everything has no more use for. What
-- is switched off and on again, or made anew, is another row of the catalog.
with recursive tree as (
    select to_regclass(name)::oid as oid
    from unnest(%(tables)s::text[]) as source (name)
    union
    select inhrelid
    from tree
    join pg_inherits on inhparent = tree.oid
)

select
    (
        select string_agg(
            concat_ws(
                ' ', tree.oid, watch.oid, watch.xmin, watch.tgname, watch.tgenabled, function.oid, function.xmin
            ),
            ', ' order by tree.oid, watch.oid
        )
        from tree
        left join pg_trigger as watch on watch.tgrelid = tree.oid and not watch.tgisinternal
        left join pg_proc as function on function.oid = watch.tgfoid
    ) as capture,
    (
        select coalesce(sum(hash_record_extended((consumer_id, event_type, since, until, n), 0)), 0)
        from (
            select consumer_id, event_type, since, until, n
            from consumer_analytics_internal.vanished_events
            union all
            select consumer_id, event_type, since, until, null
            from consumer_analytics_internal.accepted_events
        ) as gone
    ) as vanished,
    (select audited_at from consumer_analytics_internal.clean_audits) as audited_at,
    (select processed_through from consumer_analytics_internal.clean_audits) as audited_through,
    (select capture from consumer_analytics_internal.clean_audits) as audited_capture,
    (select vanished from consumer_analytics_internal.clean_audits) as audited_vanished,
    array(select note_id from consumer_analytics_internal.noted_changes) as notes
