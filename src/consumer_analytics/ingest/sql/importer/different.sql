-- Ids that were there before, with other content than the file has for them.
select count(distinct staged.{key}), min(staged.line)
from {stage} as staged
inner join {present} as present using ({key})
where staged.ctid >= %(from)s::tid
    and not exists (select from {inserted} as inserted where inserted.{key} = staged.{key})
    and ({differences})
