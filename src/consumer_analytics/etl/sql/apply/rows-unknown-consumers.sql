-- Consumers that are mentioned but not registered: whoever is mentioned has a snapshot.
select array_agg(distinct consumer_id::text order by consumer_id::text)
from {rendered} as mentioned
where consumer_id is not null
    and not exists (select from {consumers} as known where known.consumer_id = mentioned.consumer_id)
