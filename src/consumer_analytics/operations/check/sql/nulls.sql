-- Columns that a run reads and that hold NULLs, and about how many of a hundred, as the planner has it. Of a
-- table with parts: of all of them.
select distinct on (table_name, column_name)
    stats.tablename::text as table_name,
    stats.attname::text as column_name,
    round((100 * stats.null_frac)::numeric, 2) as percent
from pg_stats as stats
inner join unnest(%(tables)s::text[], %(columns)s::text[]) as read_ones (table_name, column_name)
    on read_ones.table_name = stats.tablename and read_ones.column_name = stats.attname
where stats.schemaname = %(schema)s and stats.null_frac > 0
order by table_name, column_name, stats.inherited desc
