-- Whose customers are to be compared with what snapshots after `customers_after` say, NULL: everybody's;
-- and up to which instant, where it is some consumers': what was written since then knew of them.
alter table consumer_analytics_internal.state
    add customers_of uuid[],
    add customers_until timestamptz;
