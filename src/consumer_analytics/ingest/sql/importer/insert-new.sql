-- A slice of the stage into a source table, as if none of it were there yet.
insert into {table} ({columns})
select {values}
from {stage} as staged
where staged.ctid >= %(from)s::tid and staged.ctid < %(until)s::tid
