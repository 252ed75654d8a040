-- A slice of the stage into a source table, as far as the ids are not there yet;
-- which ones were not is noted.
with inserted as (
    insert into {table} ({columns})
    select {values}
    from {stage} as staged
    where staged.ctid >= %(from)s::tid and staged.ctid < %(until)s::tid
        and staged.line >= %(from_line)s and staged.line < %(until_line)s
    on conflict ({key}) do nothing
    returning {key}
)

insert into {inserted} ({key})
select {key}
from inserted
