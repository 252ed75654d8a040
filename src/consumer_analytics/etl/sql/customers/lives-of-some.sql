-- All that is remembered of these, and of those who are there no more.
create temporary table lives_of_some on commit drop as
select
    customer_id, deleted_at, ended_by, created_at, born_from, consumer_id, consumer_from, status, row_status, reborn_at,
    reborn_from
from consumer_analytics_internal.deleted_customers
where customer_id in (
    select customer_id
    from pg_temp.rows_of_some
    union all
    select customer_id
    from consumer_analytics_internal.deleted_customers
    where consumer_id = any(%(consumers)s::uuid[])
)
