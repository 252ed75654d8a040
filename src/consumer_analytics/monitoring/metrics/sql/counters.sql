-- Every counter; a sweep's time is when it was last counted. Consumers are one subject: as many
-- labels as there are consumers would be no metric.
select name, labels, sum(n) as n, extract(epoch from max(changed_at))::float8 as changed_at
from (
    select
        name,
        n,
        changed_at,
        case
            when name = 'incidents_opened' and labels[1] like 'consumer %'
                then array['consumer']
            else labels
        end as labels
    from consumer_analytics_internal.counters
) as folded
group by name, labels
