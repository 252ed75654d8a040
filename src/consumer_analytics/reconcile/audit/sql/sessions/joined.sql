-- When each consumer joined.
select created_at::timestamptz
from {consumers} as consumers
where created_at is not null
order by 1
