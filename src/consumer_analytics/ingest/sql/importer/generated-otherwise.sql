-- New rows of a column that their table works out itself, where the file says something else.
select staged.line, staged.{column}::text, present.{column}::text, count(*) over ()
from {stage} as staged
inner join {present} as present using ({key})
where staged.{column} is not null
    and present.{column}::{kind} is distinct from staged.{column}
    and (
        staged.ctid < %(all_new_until)s::tid
        or staged.{key} in (select inserted.{key} from {inserted} as inserted)
    )
order by staged.line
limit %(limit)s
