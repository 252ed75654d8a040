-- What a source table's columns are: their types (without lengths, which a cast
-- would silently cut to), and the defaults to write out where the file has
-- nothing for a column that must not be empty.
select
    attname,
    format_type(atttypid, -1) as column_type,
    case when attnotnull then pg_get_expr(adbin, adrelid) end as default_expression,
    attgenerated <> '' as generated
from pg_attribute
left join pg_attrdef on adrelid = attrelid and adnum = attnum and attgenerated = ''
where attrelid = to_regclass(%(table)s) and attnum > 0 and not attisdropped
