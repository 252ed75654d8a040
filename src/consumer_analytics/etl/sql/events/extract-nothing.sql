-- The extract of the events, where there is nothing to read.
create temporary table extracted_events (
    consumer_id uuid,
    day date not null,
    slot int not null,
    event_type text not null,
    n bigint not null
) on commit drop
