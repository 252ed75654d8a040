-- Instants at which rows of consumers say other customers than there were.
select distinct snapshot_timestamp
from pg_temp.unlike_customers
where consumer_id is not null
