-- Whatever is odd with consumers in the windows that end now: by the median of the like windows of
-- the weeks before, by how much the consumer's counts scatter, and by what others did meanwhile.
--
-- A count's distance from what is usual is that of a Poisson count's, as the root of its deviance,
-- after both were divided by the dispersion: how many times more than by chance alone the counts
-- scatter. Where a day is another one for all, such as a holiday, all are far off: what counts then
-- is how much farther than the others a consumer is.
with windows as (
    select *
    from unnest(
        %(hours)s::int [], %(days)s::int [], %(begins)s::timestamptz [], %(ends)s::timestamptz []
    ) as one (hours, day, begins, ends)
),

counted as materialized (
    select
        consumer_id,
        snapshot_timestamp as at,
        jsonb_path_query_first(metrics_json -> 'total_events', {a_number})::float8 as events,
        jsonb_path_query_first(metrics_json -> 'total_customers', {a_number})::float8 as customers
    from public.consumer_analytics
    where consumer_id is not null and snapshot_timestamp = any(%(instants)s::timestamptz [])
),

sums as materialized (
    select
        counted.consumer_id,
        windows.hours,
        windows.day,
        -- Where a purge was accepted totals fall: nothing came then that is known of.
        greatest(counted.events - before.events, 0) as events,
        before.customers - counted.customers as lost,
        before.customers
    from windows
    inner join counted on windows.ends = counted.at
    inner join counted as before
        on windows.begins = before.at and counted.consumer_id = before.consumer_id
    -- Of a snapshot that somebody edited so that it has no number nothing can be said.
    where counted.events is not null and before.events is not null
),

-- The like windows: a week apart, of the same weekday and hour.
usual as (
    select
        consumer_id,
        hours,
        count(*) as periods,
        avg(day) as ago,
        percentile_cont(0.5) within group (order by events) as expected,
        avg(events) as mean,
        percentile_cont(0.5) within group (order by lost) as lost,
        -- The two nearest: what lasts for longer is the new rhythm, and what grows grows.
        min(events) filter (where nearness <= 2) as near_least,
        max(events) filter (where nearness <= 2) as near_most
    from (
        select *, row_number() over (partition by consumer_id, hours order by day) as nearness
        from sums
        where day > 0 and day %% 7 = 0
    ) as likes
    group by consumer_id, hours
),

scatter as (
    select
        consumer_id,
        hours,
        percentile_cont(0.5) within group (order by abs(sums.events - usual.expected)) as events,
        percentile_cont(0.5) within group (order by abs(sums.lost - usual.lost)) as lost
    from sums
    inner join usual using (consumer_id, hours)
    where sums.day > 0 and sums.day %% 7 = 0
    group by consumer_id, hours
),

-- All days, each against the median of its own weekday: eight weeks of them tell more of the
-- scatter than eight windows do.
weekdays as (
    select
        consumer_id,
        day %% 7 as weekday,
        percentile_cont(0.5) within group (order by events) as expected
    from sums
    where hours = 24 and day > 0
    group by consumer_id, day %% 7
),

days as materialized (
    select
        sums.consumer_id,
        sums.day,
        sums.events,
        weekdays.expected,
        abs(sums.events - weekdays.expected) / sqrt(greatest(weekdays.expected, 1)) as distance,
        weekdays.expected >= %(small)s as is_large
    from sums
    inner join weekdays
        on sums.consumer_id = weekdays.consumer_id and sums.day %% 7 = weekdays.weekday
    where sums.hours = 24
),

-- How far a consumer's days usually are from their weekday's median, holidays or not.
rough as (
    select
        consumer_id,
        greatest(
            %(least_dispersion)s,
            (1.4826 * percentile_cont(0.5) within group (order by distance)) ^ 2
        ) as dispersion
    from days
    where day > 0 and is_large
    group by consumer_id
),

-- Those that are odd already are so until they are well within what is usual.
open as (
    select consumer_id, kind, event_type
    from consumer_analytics_internal.anomalies
    where over_at is null
),

-- The days that were other ones for many: holidays, campaigns. Some have more then, where others have
-- less. Of a few consumers nothing can be said.
common_days as (
    select
        days.day,
        greatest(
            count(*) filter (where days.events <= days.expected / %(ratio)s),
            count(*) filter (where days.events >= days.expected * %(ratio)s)
        ) >= greatest(%(common)s * min(judged.number), %(few)s) as is_common
    from days
    inner join rough using (consumer_id)
    inner join (
        select day, count(*) as number
        from days
        where expected >= %(events)s
        group by day
        having count(*) >= %(crowd)s
    ) as judged on days.day = judged.day
    where days.expected >= %(events)s
        and days.distance >= 3 * sqrt(rough.dispersion)
        and not exists (
            select from open where days.day < 7 and open.consumer_id = days.consumer_id
        )
    group by days.day
),

own_days as materialized (
    select days.*
    from days
    left join common_days using (day)
    where day > 0 and common_days.is_common is not true
),

-- By what its days grow: the later half of them against the earlier one, where that is more than
-- their scatter would make of it.
growth as (
    select
        consumer_id,
        case
            when least(late, early) > 0 and abs(ln(late / early)) >= %(sure)s * scatter
                then greatest(least(ln(late / early) / 28, %(fastest)s), -%(fastest)s)
            else 0
        end as daily
    from (
        select
            consumer_id,
            percentile_cont(0.5) within group (order by events / expected)
            filter (where day <= 28) as late,
            percentile_cont(0.5) within group (order by events / expected)
            filter (where day > 28) as early,
            -- Of the medians of two times twenty days.
            1.25 * sqrt(2.0 / 20) * 1.4826 * percentile_cont(0.5) within group (
                order by abs(events / expected - 1)
            ) as scatter
        from own_days
        where is_large
        group by consumer_id
        having count(*) filter (where day <= 28) >= %(half)s
            and count(*) filter (where day > 28) >= %(half)s
    ) as halves
),

daily as (
    select
        consumer_id,
        case
            when count(*) filter (where is_large) >= %(large_days)s
                -- By the median of the distances, and by the fifth that is largest, which tells of
                -- what comes in batches; each as it is of a normal distribution. 8/7: each day is part
                -- of the median that it is held against.
                then 8.0 / 7.0 * greatest(
                    percentile_cont(0.5) within group (order by distance) filter (where is_large)
                    * 1.4826,
                    percentile_cont(0.8) within group (order by distance) filter (where is_large)
                    / 1.2816
                ) ^ 2
            -- Of counts as small as that medians tell little, and the variance has to do.
            else var_samp(events) / nullif(avg(events), 0)
        end as dispersion
    from (
        select
            consumer_id,
            events,
            is_large,
            abs(events - grown) / sqrt(greatest(grown, 1)) as distance
        from (
            select
                own_days.*,
                -- The median is that of the weeks' middle.
                expected * exp(coalesce(growth.daily, 0) * (28 - day)) as grown
            from own_days
            left join growth using (consumer_id)
        ) as expectations
    ) as distances
    group by consumer_id
),

judged as (
    select
        sums.consumer_id,
        sums.hours,
        sums.events,
        sums.lost,
        sums.customers,
        usual.expected * grown.factor as expected,
        -- Of windows that are mostly empty the median would say that nothing ever comes.
        case
            when sums.events > usual.expected * grown.factor and usual.expected < %(events)s
                then greatest(usual.expected * grown.factor, usual.mean)
            else usual.expected * grown.factor
        end as centre,
        usual.near_least,
        usual.near_most,
        usual.lost as usually_lost,
        scatter.lost as lost_scatter,
        -- The median of a few windows is itself uncertain.
        (1 + 1.57 / usual.periods) * greatest(
            %(least_dispersion)s,
            daily.dispersion,
            -- Of days the many tell more than the few that are alike.
            case
                when sums.hours <> 24 or daily.dispersion is null
                    then (1.4826 * scatter.events) ^ 2 / greatest(usual.expected, 1)
            end
        ) as dispersion
    from sums
    inner join usual using (consumer_id, hours)
    inner join scatter using (consumer_id, hours)
    left join daily using (consumer_id)
    left join growth using (consumer_id)
    cross join lateral (
        -- From the middle of the like windows to now.
        select exp(coalesce(growth.daily, 0) * usual.ago) as factor
    ) as grown
    where sums.day = 0 and usual.periods >= %(periods)s
),

scored as (
    select
        *,
        sign(events - centre) * sqrt(greatest(2 * (
            corrected * ln(corrected / mean) - (corrected - mean)
        ), 0)) as score
    from (
        select
            *,
            -- Half a count towards what is expected: counts are whole.
            greatest(events + case when events < centre then 0.5 else -0.5 end, 0.5)
            / dispersion as corrected,
            greatest(centre, 0.5) / dispersion as mean
        from judged
    ) as divided
),

-- What others did in the same windows; of a few nothing can be said.
middles as (
    select hours, percentile_cont(0.5) within group (order by score) as middle
    from scored
    where expected >= %(events)s
    group by hours
    having count(*) >= %(crowd)s
),

others as (
    select
        hours,
        middle,
        greatest(
            1, 1.4826 * percentile_cont(0.5) within group (order by abs(score - middle))
        ) as scatter,
        greatest(
            count(*) filter (where score <= -%(score)s and events <= expected / %(ratio)s),
            count(*) filter (where score >= %(score)s and events >= expected * %(ratio)s)
        ) >= greatest(%(common)s * count(*), %(few)s) as is_common
    from scored
    inner join middles using (hours)
    where expected >= %(events)s
        and not exists (select from open where open.consumer_id = scored.consumer_id)
    group by hours, middle
),

common as (
    select
        sizes.hours,
        -- One such day makes a week another one; of a month it takes a fifth.
        coalesce(bool_or(others.is_common), false)
        or count(*) filter (where common_days.is_common)
        >= case when sizes.hours <= 168 then 1 else sizes.hours / 120.0 end as is_common
    from (select distinct hours from scored) as sizes
    left join others on sizes.hours = others.hours
    left join common_days on common_days.day * 24 < sizes.hours
    group by sizes.hours
),

-- What is over is told no more by windows that reach back to it.
ended as (
    select consumer_id, kind = 'more' as is_more, max(seen_at) as until
    from consumer_analytics_internal.anomalies
    where over_at is not null and kind in ('silent', 'fewer', 'more')
    group by consumer_id, kind = 'more'
),

-- The shortest window that can be judged: where it is as usual, what is odd is over.
latest as (
    select distinct on (consumer_id) consumer_id, events, expected
    from judged
    where expected >= %(events)s
    order by consumer_id, hours
),

eventful as (
    select
        scored.consumer_id,
        case
            when scored.events > scored.expected then 'more'
            when scored.events = 0 then 'silent'
            else 'fewer'
        end as kind,
        scored.hours,
        scored.events as observed,
        scored.expected,
        scored.dispersion,
        scored.near_least,
        scored.near_most,
        (scored.score - coalesce(others.middle, 0)) / coalesce(others.scatter, 1) as distance,
        common.is_common,
        case
            when scored.events > scored.expected
                then latest.events <= (1 + %(back)s) * latest.expected
            else latest.events >= (1 - %(back)s) * latest.expected
        end as is_back,
        exists (
            select
            from open
            where open.consumer_id = scored.consumer_id
                and open.kind = any(
                    case
                        when scored.events > scored.expected then array['more']
                        else array['silent', 'fewer']
                    end
                )
        ) as is_open
    from scored
    inner join common using (hours)
    left join others using (hours)
    left join latest on scored.consumer_id = latest.consumer_id
    inner join windows on scored.hours = windows.hours and windows.day = 0
    left join ended
        on scored.consumer_id = ended.consumer_id
        and (scored.events > scored.expected) = ended.is_more
    where ended.until is null or ended.until <= windows.begins
),

new_types as (
    select
        now.consumer_id,
        typed.key as event_type,
        jsonb_path_query_first(typed.value, {a_number})::float8
        - jsonb_path_query_first(
            coalesce(before.metrics_json #> array['events_by_type', typed.key], '0'), {a_number}
        )::float8 as observed
    from public.consumer_analytics as now
    inner join public.consumer_analytics as before
        on now.consumer_id = before.consumer_id and before.snapshot_timestamp = %(day_before)s
    inner join public.consumer_analytics as known
        on now.consumer_id = known.consumer_id and known.snapshot_timestamp = %(week_before)s
    cross join lateral jsonb_each(
        jsonb_path_query_first(now.metrics_json -> 'events_by_type', {an_object})
    ) as typed
    where now.snapshot_timestamp = %(at)s
        and coalesce(known.metrics_json #> array['events_by_type', typed.key], '0') = '0'
        -- Where one of them has no types all would be new.
        and jsonb_typeof(before.metrics_json -> 'events_by_type') = 'object'
        and jsonb_typeof(known.metrics_json -> 'events_by_type') = 'object'
)

select
    consumer_id,
    kind,
    null as event_type,
    hours,
    observed,
    expected,
    greatest(expected - 2 * sqrt(dispersion * expected), 0) as low,
    expected + 2 * sqrt(dispersion * expected) as high
from eventful
where case
    when is_open and is_back then false
    when kind = 'more' and is_open
        then distance >= %(score)s / 2
            and observed >= sqrt(%(ratio)s) * expected
            and observed >= sqrt(%(ratio)s) * near_least
            and observed >= %(events)s
    when is_common and not is_open then false
    when kind = 'more'
        then distance >= %(score)s
            and observed >= %(ratio)s * greatest(expected, %(events)s)
            and observed >= %(nearby)s * near_least
    when is_open
        then distance <= -%(score)s / 2
            and observed <= expected / sqrt(%(ratio)s)
            and observed <= near_most / sqrt(%(ratio)s)
            and expected >= %(events)s
    -- That nothing comes at all no scatter explains but that of what comes in batches.
    else distance <= case when kind = 'silent' then -%(silence)s else -%(score)s end
        and observed <= expected / %(ratio)s
        and observed <= near_most / %(nearby)s
        and expected >= %(events)s
end
union all
select
    judged.consumer_id,
    'customers',
    null,
    judged.hours,
    judged.lost,
    judged.usually_lost,
    judged.usually_lost - 2 * 1.4826 * judged.lost_scatter,
    judged.usually_lost + 2 * 1.4826 * judged.lost_scatter
from judged
where judged.hours <= 168
    and judged.customers >= %(events)s
    and judged.lost >= %(lost)s * judged.customers
    and judged.lost - greatest(judged.usually_lost, 0)
    >= %(score)s * greatest(1.4826 * judged.lost_scatter, sqrt(greatest(judged.usually_lost, 1)))
union all
select
    new_types.consumer_id,
    'type',
    new_types.event_type,
    24,
    new_types.observed,
    0,
    0,
    0
from new_types
left join judged on new_types.consumer_id = judged.consumer_id and judged.hours = 24
where new_types.observed >= greatest(%(events)s, %(flood)s * coalesce(judged.expected, 0))
order by consumer_id, hours, kind, event_type
