-- Whether there is, or was, a row of up to an instant, or the instant has its snapshot. A few
-- looks into indexes where there is; of what was counted the day is known alone.
select
    exists (select from {customer_events} as customer_events where created_at <= %(at)s::timestamptz)
    or exists (select from {customers} as customers where created_at <= %(at)s::timestamptz)
    or exists (select from {consumers} as consumers where created_at <= %(at)s::timestamptz)
    or exists (
        select from consumer_analytics_internal.event_days
        where day <= (%(at)s::timestamptz)::date and n > 0
    )
    or exists (
        select from consumer_analytics_internal.deleted_customers
        where created_at <= %(at)s::timestamptz
    )
    or exists (
        select from public.consumer_analytics
        where snapshot_timestamp = %(at)s::timestamptz
    )
