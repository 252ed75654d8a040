-- Where the customers' changes wait to become cells.
create temporary table backfill_customers (
    run_id bigint not null,
    consumer_id uuid,
    slot int not null,
    status text not null,
    n bigint not null,
    dated bigint not null,
    created_us numeric not null,
    born bigint not null
)
