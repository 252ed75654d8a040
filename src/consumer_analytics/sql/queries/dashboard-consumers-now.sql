cross join (select null::bigint as customers_before, null::bigint as events_before) as later
