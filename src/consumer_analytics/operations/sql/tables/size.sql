-- What tables take on disk, indexes and all.
select coalesce(sum(pg_total_relation_size(name::regclass)), 0)::bigint
from unnest(%(tables)s::text[]) as name
