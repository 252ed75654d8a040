-- What the files have, by consumer and slot, with a column for each type that has one; `rest` is what
-- others are called in the files.
create temporary table archived_slots (
    consumer_id uuid,
    slot int not null,
    rest text,
    events bigint not null
    {columns}
) on commit drop
