select class.relname::text, watch.tgname::text
from pg_trigger as watch
join pg_class as class on class.oid = watch.tgrelid
join pg_namespace as schema on schema.oid = class.relnamespace
where schema.nspname = %(schema)s
    and watch.tgname like replace(%(prefix)s, '_', '\_') || '%%'
    and watch.tgenabled in ('A', 'O')
