-- About the first and the last event, as the planner has them: among the values that are frequent, or the
-- bounds of those that are not.
select
    min(value::timestamptz),
    max(value::timestamptz)
from pg_stats
cross join unnest(
    coalesce(histogram_bounds::text::text[], '{{}}') || coalesce(most_common_vals::text::text[], '{{}}')
) as value
where schemaname = %(schema)s
    and tablename = %(table)s
    and attname = %(column)s
    and isfinite(value::timestamptz)
