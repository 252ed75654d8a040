-- The ids of all rows.
select event_id from ({events}) as events
