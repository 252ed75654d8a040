create temporary table rest_carried as
select pair, sum(n)::bigint as n
from (
    select pair, n
    from rest_before
    union all
    select pair, n
    from rest_cells
    where slot between {first} and {last}
) as cells
group by pair
