create temporary table backfill_counted as
{parts}
