-- The latest instant at which a run saw that nothing older was open, before a transaction was prepared.
select max(horizon.none_open_before)
from consumer_analytics_internal.transaction_horizons as horizon
where horizon.observed_at < prepared.prepared
