-- Further events of an extract.
insert into pg_temp.extracted_events (consumer_id, day, slot, event_type, n)
{counted}
