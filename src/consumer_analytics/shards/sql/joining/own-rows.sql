-- Which of a database's own source tables have rows.
select 'consumers' as name where exists (select from public.consumers)
union all
select 'customers' where exists (select from public.customers)
union all
select 'customer_events' where exists (select from public.customer_events)
