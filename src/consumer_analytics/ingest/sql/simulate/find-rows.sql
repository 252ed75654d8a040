-- A source table that has rows, if any has.
select case
    when exists (select from {consumers} as consumers) then 'consumers'
    when exists (select from {customers} as customers) then 'customers'
    when exists (select from {customer_events} as customer_events) then 'customer_events'
end
