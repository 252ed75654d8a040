select exists (select from backfill_counted where rest is null and events <> {named})
