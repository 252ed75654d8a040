select consumer_id, slot, status, n, dated, created_us, born
from consumer_analytics_internal.extracted_customers
where run_id = %(run_id)s
