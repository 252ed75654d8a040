-- Where events that the other session has counted come to.
create temporary table backfill_counted (
    consumer_id uuid,
    slot int not null,
    rest text,
    events bigint not null
    {columns}
)
