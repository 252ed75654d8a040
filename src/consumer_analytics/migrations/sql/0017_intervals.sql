-- Which intervals there are, the product says: `calendar/intervals.py` is their one register,
-- and what it does not know is refused before it comes here.
alter table consumer_analytics_internal.backfills drop constraint backfills_period_check;
