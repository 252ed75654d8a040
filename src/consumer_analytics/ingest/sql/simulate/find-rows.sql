-- A source table that has rows, if any has.
select case
    when exists (select from {consumers}) then 'consumers'
    when exists (select from {customers}) then 'customers'
    when exists (select from {customer_events}) then 'customer_events'
end
