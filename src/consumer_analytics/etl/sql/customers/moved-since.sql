-- Whether today's rows do not tell all that there was from an instant on: whether anything has
-- happened to a customer since, or one came back, and whether a row lacks its time.
select
    exists (select from {lifecycle} as lifecycle)
    or exists (
        select
        from consumer_analytics_internal.deleted_customers
        where deleted_at >= %(first)s::timestamptz
    )
    or exists (
        select
        from consumer_analytics_internal.deleted_customers
        where reborn_at is not null
    ),
    case
        when 'customers' in ({maybe_undated}) then exists (select from {customers} as customers where created_at is null)
        else false
    end
