-- What Airflow's tables take, indexes and all; nothing where they are among others.
select sum(pg_total_relation_size(class.oid))::bigint
from pg_class as class
where class.relkind = 'r'
    and class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and class.relnamespace <> 'public'::regnamespace
