-- Null where there is none of that name.
select relkind::text
from pg_class
where oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
