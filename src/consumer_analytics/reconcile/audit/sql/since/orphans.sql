-- Consumers that had customers, and have none of their rows left.
select
from public.consumer_analytics as said
where said.snapshot_timestamp = {base}
    and said.metrics_json -> 'total_customers' > '0'
    and not exists (select from {customers} as left_over where left_over.consumer_id = said.consumer_id)
