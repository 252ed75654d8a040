-- What the files of some days have, each number of rows at the beginning of its day; but for days
-- that an instant cuts.
create temporary table archived_held on commit drop as
select consumer_id, event_type, day::timestamptz as since, n
from consumer_analytics_internal.archived_counts
where day <@ %(days)s::datemultirange and not day <@ %(cut)s::datemultirange
