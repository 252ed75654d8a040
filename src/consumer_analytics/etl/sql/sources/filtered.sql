-- Source tables of which row-level security hides rows from this login.
select relname, current_user
from pg_class
where relname = any(%(tables)s)
    and relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and row_security_active(oid)
