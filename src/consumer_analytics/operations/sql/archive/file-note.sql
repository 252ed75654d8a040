-- A file more, and what it has.
with file as (
    insert into consumer_analytics_internal.archived_files (name, day, rows, bytes, sha256, etag, version, digest)
    select %(name)s, %(day)s, count(*), %(bytes)s, %(sha256)s, %(etag)s, %(version)s, sum(digest)
    from pg_temp.archiving
)

insert into consumer_analytics_internal.archived_counts (day, consumer_id, event_type, n)
select %(day)s::date, consumer_id, event_type, count(*)
from pg_temp.archiving
group by consumer_id, event_type
