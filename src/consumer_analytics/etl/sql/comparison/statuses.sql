-- Statuses that are likely to come up, each as JSON writes it, in the order in which jsonb has them as
-- keys: those that customers have today, and those of the first and the last of some instants.
select status, to_json(status)::text
from (
    select case when status ~ '\S' then status else '(none)' end as status
    from (
        select distinct status::text as status
        from {customers} as customers
    ) as today
    union
    select jsonb_object_keys(metrics_json -> 'customers_by_status_all_consumers')
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp in (%(first)s::timestamptz, %(last)s::timestamptz)
        and jsonb_typeof(metrics_json -> 'customers_by_status_all_consumers') = 'object'
) as statuses
order by octet_length(status), status collate "C"
