-- Which of some ids the files have.
select event_id from ({events}) as events
where event_id in (select wanted.id from wanted)
