-- Rows of the stage that are new in the source table.
select staged.consumer_id, {created_at}
from {stage} as staged
where staged.ctid < %(all_new_until)s::tid
    or staged.{key} in (select inserted.{key} from {inserted} as inserted)
