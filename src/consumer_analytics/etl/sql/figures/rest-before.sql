select pair, consumer_analytics_internal.total(n) as n
from rest_cells
where slot <= {before}
group by pair
