-- DAG files that could not be read, ours first; the last line says why.
select
    filename as file,
    regexp_replace(rtrim(stacktrace, E' \n'), '^.*\n', '') as reason,
    filename ~ 'consumer_analytics' or stacktrace ~ 'consumer_analytics' as is_ours
from {import_error}
order by is_ours desc, filename
