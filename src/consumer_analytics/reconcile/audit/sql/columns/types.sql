-- Types that get a column, the most frequent ones. Any choice of them leads to the same figures.
select event_type
from consumer_analytics_internal.event_totals
where event_type ~ '\S' and event_type <> '(none)' and char_length(event_type) <= 200
group by event_type
order by sum(n) desc, event_type
limit 40
