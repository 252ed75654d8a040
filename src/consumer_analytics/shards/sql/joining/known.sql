select name, identity
from consumer_analytics_internal.shards
