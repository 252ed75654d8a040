-- Puts the job's row of state back. What waited to be restated is not known: all snapshots are looked
-- at again. No extract that was made before is of this version.
insert into consumer_analytics_internal.state
    (job_name, processed_through, version, restate_after, births_looked_through)
values (
    {job},
    %(through)s::timestamptz,
    extract(epoch from clock_timestamp())::bigint,
    '-infinity',
    %(through)s::timestamptz
)
on conflict do nothing
