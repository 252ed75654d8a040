select pair, slot, n
from rest_named
join rest_pairs using (kind, consumer_id, name)
union all
select pair, slot, consumer_analytics_internal.total(n)
from rest_named
join rest_pairs
    on rest_pairs.consumer_id is null
    and rest_pairs.kind = rest_named.kind
    and rest_pairs.name = rest_named.name
group by pair, slot
