-- Further events of an extract.
insert into pg_temp.extracted_events ({event_columns})
{counted}
