select last_value >= extract(epoch from %s::timestamptz) * 1000000
from consumer_analytics_internal.capture_threshold
