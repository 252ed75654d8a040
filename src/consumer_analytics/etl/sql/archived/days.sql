-- How many rows the files of some days have, whosever they are; but for days that an instant cuts.
create temporary table archived_held on commit drop as
select null::uuid as consumer_id, null::text as event_type, day::timestamptz as since, sum(rows)::bigint as n
from consumer_analytics_internal.archived_files
where day <@ %(days)s::datemultirange and not day <@ %(cut)s::datemultirange
group by day
