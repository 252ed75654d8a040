-- The files of the days that lie in both.
select name, day, rows, bytes, sha256, etag, version
from consumer_analytics_internal.archived_files
where day <@ %(days)s::datemultirange and day <@ %(within)s::datemultirange
order by name
