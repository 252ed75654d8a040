-- Where nothing was counted that could differ: as events-differ makes it.
create temporary table differing_events (
    consumer_id uuid,
    day date,
    event_type text,
    known bigint,
    counted bigint
) on commit drop
