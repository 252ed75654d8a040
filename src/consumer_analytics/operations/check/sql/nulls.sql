-- Columns that a run reads and that hold NULLs, and about how many of a hundred, as the planner has it. Of a
-- table with parts: of all of them.
select distinct on (table_name, column_name)
    source.known as table_name,
    known_column.known as column_name,
    round((100 * stats.null_frac)::numeric, 2) as percent
from pg_stats as stats
inner join {source_tables} as source (known, schema, name)
    on source.schema = stats.schemaname and source.name = stats.tablename
inner join {source_columns} as known_column (source, known, name)
    on known_column.source = source.known and known_column.name = stats.attname
inner join unnest(%(tables)s::text[], %(columns)s::text[]) as read_ones (table_name, column_name)
    on read_ones.table_name = source.known and read_ones.column_name = known_column.known
where stats.null_frac > 0
order by table_name, column_name, stats.inherited desc
