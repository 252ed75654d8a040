-- What this database is, where it is one of several.
select role, identity, name, analytics
from consumer_analytics_internal.federation
