-- Rows of the calendar's first day, which stands for all time before it: they have no file.
select count(*)
from {customer_events} as own
where created_at < '0001-01-02'::timestamptz
