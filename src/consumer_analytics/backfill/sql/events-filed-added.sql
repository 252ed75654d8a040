-- What the archive's files have, beside what else was counted.
insert into backfill_counted
{parts}
