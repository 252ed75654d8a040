create temporary table rest_before {lifetime} as
select pair, sum(n)::bigint as n
from rest_cells
where slot <= {before}
group by pair
