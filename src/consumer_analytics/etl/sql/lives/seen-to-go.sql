-- Whether capture has seen a row go of any of the customers concerned.
select exists (
    select
    from consumer_analytics_internal.deleted_customers
    where customer_id in (select customer_id from pg_temp.concerned_customers) and ended_by = 'row'
)
