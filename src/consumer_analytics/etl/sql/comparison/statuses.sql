-- Statuses that come up, each as JSON writes it, in the order in which jsonb has them as keys.
select status, to_json(status)::text
from (
    select distinct status
    from pg_temp.extracted_customers
) as statuses
order by octet_length(status), status collate "C"
