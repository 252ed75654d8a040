select pass_id, run_key, snapshot_source, requested_at, reached_at, named, held_back_by, watermark
from consumer_analytics_internal.sharded_runs
order by pass_id
limit 1
