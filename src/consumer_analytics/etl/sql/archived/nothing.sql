-- The files' counts of no day, where an instant cuts each: none is looked through for that.
create temporary table archived_held on commit drop as
select null::uuid as consumer_id, null::text as event_type, null::timestamptz as since, null::bigint as n
where false
