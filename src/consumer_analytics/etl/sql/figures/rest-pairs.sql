-- Each of them, for each consumer that has it and for the whole system (the
-- consumer NULL), with its key as the snapshots' JSON has it.
select
    kind,
    consumer_id,
    name,
    (row_number() over (order by octet_length(name), name collate "C"))::int as pair,
    concat(',', to_json(name), ':') as key,
    min(slot) as begins
from rest_named
group by grouping sets ((kind, consumer_id, name), (kind, name))
