-- Where the customers' changes wait, one row for each consumer, slot and status.
create temporary table if not exists {table} (
    consumer_id uuid,
    slot int not null,
    status text not null,
    n bigint not null,
    dated bigint not null,
    created_us numeric not null,
    born bigint not null
) {lifetime}
