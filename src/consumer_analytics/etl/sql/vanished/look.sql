-- What a run looks at: the source's oldest row. Where it is another than it was when last looked
-- at, the days from the one to the other are judged: what was counted before it has vanished, and
-- of its own day what the source lacks. Where the source is empty all that was counted is gone.
select
    gone_before is distinct from oldest_seen as moved,
    gone_before::text,
    case
        when exists (
            select
            from consumer_analytics_internal.event_days
            where day between least(coalesce(oldest_seen, '-infinity'), gone_before)::date and gone_before::date
        )
            then concat(
                '{{[', least(coalesce(oldest_seen, '-infinity'), gone_before)::date, ',', gone_before::date, ']}}'
            )
    end as days,
    concat('{{[', gone_before::date, ',', gone_before::date, ']}}') as its_day
from (
    select
        oldest_seen,
        case
            when processed_through = '-infinity' then source.oldest
            else least(source.oldest, processed_through)
        end as gone_before
    from consumer_analytics_internal.state
    cross join (select min(created_at)::timestamptz as oldest from {customer_events} as customer_events) as source
    where job_name = {job}
) as looked
