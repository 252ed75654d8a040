-- What the archive's files have is taken as it is, all of types that have a column, and what else was
-- counted is put beside it: that is little. Not what lies after the last instant.
delete from pg_temp.archived_slots
where slot >= {slots};

insert into pg_temp.archived_slots (consumer_id, slot, rest, events {columns})
select consumer_id, slot, rest, events {columns}
from pg_temp.backfill_counted;

drop table pg_temp.backfill_counted;

alter table pg_temp.archived_slots rename to backfill_counted
