-- An instant (microseconds since 1970) in a consumer's rhythm time.
select week + weekly[hour + 1] + (hours - hour) * (weekly[hour + 2] - weekly[hour + 1]) as rhythm
from (
    select week, hours, floor(hours)::int as hour, weekly
    from (
        -- 1970 began on a Thursday: four days to the first Monday.
        select
            floor(hours_in_all / 168) as week,
            hours_in_all - 168 * floor(hours_in_all / 168) as hours,
            %(weekly)s::float8[] as weekly
        from (select ({instant} / 3600000000.0::float8) - 96 + hours_ahead as hours_in_all) as since_monday
    ) as within_week
) as within_hour
