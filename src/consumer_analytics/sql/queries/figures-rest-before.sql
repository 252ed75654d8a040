create temporary table rest_before {lifetime} as
select pair, n
from rest_cells
where slot = 0
