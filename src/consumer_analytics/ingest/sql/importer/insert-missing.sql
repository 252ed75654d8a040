-- A slice of the stage into a source table, as far as the ids are not there yet;
-- which ones were not is noted.
with inserted as (
    insert into {table} ({columns})
    select {values}
    from {stage} as staged
    where staged.ctid >= %(from)s::tid and staged.ctid < %(until)s::tid
        and staged.line >= %(from_line)s and staged.line < %(until_line)s
    on conflict ({own_key}) do nothing
    returning {own_key}
)

insert into {inserted} ({key})
select {own_key}
from inserted
