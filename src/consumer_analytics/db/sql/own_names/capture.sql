-- Capture's functions for tables of the product's names, as migrations made them: name, and body.
select function.proname::text, function.prosrc
from pg_proc as function
where function.pronamespace = 'consumer_analytics_internal'::regnamespace
    and function.proname = any(%(functions)s::text[])
order by 1
