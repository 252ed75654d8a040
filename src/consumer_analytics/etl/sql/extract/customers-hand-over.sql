-- Leave an extract of the customers for the session that loads.
insert into consumer_analytics_internal.extracted_customers
    (run_id, consumer_id, slot, status, n, dated, created_us, born)
select %(run_id)s, consumer_id, slot, status, n, dated, created_us, born
from pg_temp.extracted_customers
