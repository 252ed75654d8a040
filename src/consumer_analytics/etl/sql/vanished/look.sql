-- What a run looks at: the source's oldest row. Where it is another than it was when last looked
-- at, the days from the one to the other are judged: what was counted before it has vanished, and
-- of its own day what the source lacks. Where the source is empty all that was counted is gone.
-- Days that are archived are nobody's to lose: it is the oldest row after them.
select
    gone_before is distinct from oldest_seen as moved,
    gone_before::text,
    case
        when exists (
            select
            from consumer_analytics_internal.event_days
            where day between since::date and gone_before::date
        )
            then concat('{{[', since::date, ',', gone_before::date, ']}}')
    end as days,
    concat('{{[', gone_before::date, ',', gone_before::date, ']}}') as its_day
from (
    select
        oldest_seen,
        archived_before,
        case
            when processed_through = '-infinity' then source.oldest
            else least(source.oldest, processed_through)
        end as gone_before
    from consumer_analytics_internal.state
    cross join (
        select coalesce((select first_day from consumer_analytics_internal.archive), '-infinity')::timestamptz
            as archived_before
    ) as archive
    cross join lateral (
        select min(created_at)::timestamptz as oldest
        from {customer_events} as customer_events
        where created_at >= archived_before
    ) as source
    where job_name = {job}
) as looked
cross join lateral (
    select greatest(least(coalesce(oldest_seen, '-infinity'), gone_before), archived_before) as since
) as range
