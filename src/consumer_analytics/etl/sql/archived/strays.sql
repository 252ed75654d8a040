-- Rows of the archive's days that no file has: they came late, and count until they are archived.
create temporary table archive_strays on commit drop as
select event_id, consumer_id, event_type::text as event_type, created_at::timestamptz as created_at
from {customer_events} as own
where created_at >= lower(%(apart)s::datemultirange)::timestamptz
    and created_at < upper(%(apart)s::datemultirange)::timestamptz
    and created_at::timestamptz::date <@ %(apart)s::datemultirange
    and not exists (
        select from pg_temp.archived_ids
        where archived_ids.event_id = own.event_id
    )
