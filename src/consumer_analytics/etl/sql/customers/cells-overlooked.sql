-- Whether a status has no column. At each instant the columns' sum is less than the
-- customers by as many as have such a status, so one cell at least differs.
select exists (
    select
    from customer_cells
    where customers <> {named}
)
