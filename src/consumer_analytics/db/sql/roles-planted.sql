-- Whatever would run code when a table of ours is read or written: of ours there is none.
-- On PostgreSQL's own functions, types and operators nothing depends.
with asked as (
    select to_regclass(%(table)s)::oid as oid
),

-- The table, and what belongs to it.
parts as (
    select 'pg_class'::regclass as classid, oid from asked
    union all
    select 'pg_attrdef'::regclass, pg_attrdef.oid from pg_attrdef join asked on asked.oid = adrelid
    union all
    select 'pg_constraint'::regclass, pg_constraint.oid from pg_constraint join asked on asked.oid = conrelid
    union all
    select 'pg_class'::regclass, indexrelid from pg_index join asked on asked.oid = indrelid
)

select format('trigger %%I', tgname)
from pg_trigger
join asked on asked.oid = tgrelid
where not tgisinternal
union all
select format('rule %%I', rulename)
from pg_rewrite
join asked on asked.oid = ev_class
union all
select format('policy %%I', polname)
from pg_policy
join asked on asked.oid = polrelid
union all
select 'a table that inherits from it, ' || inhrelid::regclass
from pg_inherits
join asked on asked.oid = inhparent
union all
-- What goes with a row there may have triggers.
select format('foreign key %%I of %%s', conname, conrelid::regclass)
from pg_constraint
join asked on asked.oid in (conrelid, confrelid)
where contype = 'f'
union all
-- A function, or what calls one: an operator, a type with a check or a cast.
select distinct pg_describe_object(needs.refclassid, needs.refobjid, 0)
from pg_depend as needs
join parts on parts.classid = needs.classid and parts.oid = needs.objid
where needs.refclassid <> all (array['pg_class', 'pg_constraint', 'pg_namespace']::regclass[])
