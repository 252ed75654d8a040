-- What the source holds of each day of a stretch, as a sum of hashes. Names of types that do not begin like
-- one are worked out here. `weight`: how many events a row stands for, where that is not one each.
select day, sum({weight}{event_digest}) as digest
from (
    select
        consumer_id,
        day,
        n,
        case when event_type collate "C" >= '!' then event_type else {event_type_name} end as event_type
    from ({held}) as held
) as named
group by day
