-- Whether anything was counted whose type has no column.
select exists (select from backfill_counted where rest is not null)
