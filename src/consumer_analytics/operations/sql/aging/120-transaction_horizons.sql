-- What no prepared transaction needs to tell when it can have begun.
from consumer_analytics_internal.transaction_horizons as aged
where aged.none_open_before < (
    select max(none_open_before)
    from consumer_analytics_internal.transaction_horizons
    where observed_at < least(
        (select min(prepared) from pg_prepared_xacts where database = current_database()),
        now() - interval '1 minute'
    )
)
