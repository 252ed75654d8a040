-- Rows without a time, of the tables whose column lets it be missing.
select
    case when %(consumers)s then (select count(*) from {consumers} as consumers where created_at is null) else 0 end,
    case when %(customers)s then (select count(*) from {customers} as customers where created_at is null) else 0 end,
    case
        when %(customer_events)s then (select count(*) from {customer_events} as customer_events where created_at is null)
        else 0
    end
