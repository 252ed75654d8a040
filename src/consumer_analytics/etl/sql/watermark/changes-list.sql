select changed_at, changed_by, from_timestamp, to_timestamp, reason
from consumer_analytics_internal.watermark_changes
where job_name = {job}
order by change_id desc
limit %(limit)s
