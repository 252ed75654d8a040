-- Whatever on the table of tenants would run code when it is written to: of ours there is none.
select format('trigger %I', tgname)
from pg_trigger
where tgrelid = 'consumer_analytics_internal.tenants'::regclass and not tgisinternal
union all
select format('rule %I', rulename)
from pg_rewrite
where ev_class = 'consumer_analytics_internal.tenants'::regclass
union all
select format('policy %I', polname)
from pg_policy
where polrelid = 'consumer_analytics_internal.tenants'::regclass
union all
-- Defaults, constraints and indexes. On PostgreSQL's own functions nothing depends.
select distinct 'a call of ' || needs.refobjid::regprocedure
from pg_depend as needs
where needs.refclassid = 'pg_proc'::regclass
    and (
        needs.classid = 'pg_attrdef'::regclass
        and needs.objid in (
            select oid from pg_attrdef where adrelid = 'consumer_analytics_internal.tenants'::regclass
        )
        or needs.classid = 'pg_constraint'::regclass
        and needs.objid in (
            select oid from pg_constraint where conrelid = 'consumer_analytics_internal.tenants'::regclass
        )
        or needs.classid = 'pg_class'::regclass
        and needs.objid in (
            select indexrelid from pg_index where indrelid = 'consumer_analytics_internal.tenants'::regclass
        )
    )
