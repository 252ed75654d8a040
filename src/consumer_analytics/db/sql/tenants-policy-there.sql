select 1
from pg_policies
where schemaname = 'public'
    and tablename = %(table)s
    and policyname = %(name)s
    and roles = array[%(tenant)s::name]
