-- The ids of all rows.
select event_id from ({rows}) as rows
