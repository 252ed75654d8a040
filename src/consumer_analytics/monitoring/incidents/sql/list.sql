-- Incidents: the open ones, the longest first; or the latest of all.
select incident_id, subject, state, worst, cause, opened_at, closed_at, measures, told_at
from consumer_analytics_internal.incidents
where closed_at is null or not %(open_only)s
order by
    case when %(open_only)s then opened_at end,
    opened_at desc,
    incident_id desc
limit %(limit)s
