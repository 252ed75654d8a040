-- A sum of bigint that is one: PostgreSQL's own is numeric, at twice the price of what it adds
-- up. What does not fit is refused, never cut off.
create aggregate consumer_analytics_internal.total(bigint) (
    sfunc = int8pl,
    stype = bigint,
    combinefunc = int8pl,
    parallel = safe
);
