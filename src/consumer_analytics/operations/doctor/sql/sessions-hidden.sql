-- Sessions in this database whose transactions this login may not see, and whose they are.
select count(*), coalesce(array_agg(distinct usename::text), '{{}}')
from pg_stat_activity
where datname = current_database()
    and usesysid is not null
    and query = '<insufficient privilege>'
