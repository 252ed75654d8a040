-- Where customers' cells that the other session has made come to.
create temporary table customer_cells (
    consumer_id uuid,
    slot int not null,
    customers bigint not null,
    dated bigint not null,
    created_us numeric not null,
    born bigint not null
    {columns}
)
