-- In slot 1 what came before as well.
select consumer_id, greatest(slot, 1) as slot, status, n, dated, created_us, born
from consumer_analytics_internal.extracted_customers
where run_id = %(run_id)s
