-- Statuses that get a column, the most frequent ones. Any choice of them leads to the same figures.
select status
from (
    select status::text as status
    from {customers} as today
    where status::text ~ '\S'
) as customers
group by status
order by count(*) desc, status
limit 20
