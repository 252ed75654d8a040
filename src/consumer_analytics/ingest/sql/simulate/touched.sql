-- Every consumer on every day that it is there.
select consumer_id, day
from simulated_consumers
cross join lateral generate_series(
    date_trunc('day', 'epoch'::timestamptz + created_us * interval '1 microsecond', 'UTC'),
    'epoch'::timestamptz + (%(until_us)s - 1) * interval '1 microsecond',
    '1 day'
) as day
