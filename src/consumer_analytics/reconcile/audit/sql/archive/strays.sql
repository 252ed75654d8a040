-- Their rows that are in no file.
insert into audit_strays (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select event_id, customer_id, consumer_id, event_type::text, payload_json::text, created_at::timestamptz
from {customer_events} as own
where created_at >= '0001-01-02'::timestamptz
    and created_at < (select first_day from consumer_analytics_internal.archive)::timestamptz
    and created_at::timestamptz::date = any(%(days)s::date[])
    and not exists (select from audit_filed_ids where audit_filed_ids.event_id = own.event_id)
