select min(created_at)::timestamptz
from {customer_events}
