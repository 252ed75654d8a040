-- Transactions that are open now, by what a run's record knows them by.
select pid::text as name, xact_start as began
from pg_stat_activity
where datname = current_database() and xact_start is not null
union all
select gid, prepared
from pg_prepared_xacts
where database = current_database()
