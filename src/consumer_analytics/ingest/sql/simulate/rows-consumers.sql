-- The consumers, with names that people can tell apart.
select
    consumer_id,
    (array['Alder', 'Beacon', 'Cobalt', 'Delta', 'Ember', 'Fjord', 'Grove', 'Harbour'])[1 + rank %% 8]
    || ' '
    || (array['Bank', 'Pay', 'Market', 'Insurance', 'Travel'])[1 + rank / 8 %% 5]
    || ' ' || lpad(rank::text, 4, '0') as name,
    {active} as status,
    'epoch'::timestamptz + created_us * interval '1 microsecond' as created_at
from simulated_consumers
order by created_us
