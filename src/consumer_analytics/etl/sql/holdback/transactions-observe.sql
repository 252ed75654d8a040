-- Remember what was seen, and forget what no prepared transaction needs any more.
-- The last minute's stay: a transaction takes a moment to be prepared, and is
-- listed as prepared only then.
with forgotten as (
    delete from consumer_analytics_internal.transaction_horizons
    where none_open_before < (
        select max(none_open_before)
        from consumer_analytics_internal.transaction_horizons
        where observed_at < least(
            (select min(prepared) from pg_prepared_xacts where database = current_database()),
            %(observed_at)s::timestamptz - interval '1 minute'
        )
    )
)

insert into consumer_analytics_internal.transaction_horizons (observed_at, none_open_before)
values (%(observed_at)s, %(none_open_before)s)
on conflict do nothing
