insert into {consumers} (consumer_id, name, status, created_at)
select
    consumer_id,
    (array['Alder', 'Beacon', 'Cobalt', 'Delta', 'Ember', 'Fjord', 'Grove', 'Harbour'])[1 + rank %% 8]
    || ' '
    || (array['Bank', 'Pay', 'Market', 'Insurance', 'Travel'])[1 + rank / 8 %% 5]
    || ' ' || lpad(rank::text, 4, '0'),
    'ACTIVE',
    'epoch'::timestamptz + created_us * interval '1 microsecond'
from simulated_consumers
order by created_us
