-- Leave an extract of the customers for the session that loads.
insert into consumer_analytics_internal.extracted_customers
    (run_id, {change_columns})
select %(run_id)s, {change_columns}
from pg_temp.extracted_customers
