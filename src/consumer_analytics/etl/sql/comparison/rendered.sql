-- Snapshots that said other customers than there were, as they are to be written.
select consumer_id, snapshot_timestamp, metrics_json
from pg_temp.unlike_customers
