-- Rows whose figures are right, with a number that is written otherwise, such as 2.0 for 2.
update public.consumer_analytics as snapshot
set metrics_json = right_now.figures
from audit_figures as right_now
where snapshot.snapshot_timestamp = right_now.at
    and snapshot.consumer_id is not distinct from right_now.consumer_id
    and snapshot.metrics_json = right_now.figures
    and snapshot.metrics_json::text <> right_now.figures::text
