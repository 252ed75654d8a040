select pair, consumer_analytics_internal.total(n) as n
from (
    select pair, n
    from rest_before
    union all
    select pair, n
    from rest_cells
    where slot between {first} and {last}
) as cells
group by pair
