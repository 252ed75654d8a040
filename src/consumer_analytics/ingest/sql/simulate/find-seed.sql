-- A consumer that this seed has made before, if any: ids hang on seed and rank alone.
select consumer_id
from {consumers} as consumers
inner join simulated_consumers using (consumer_id)
limit 1
