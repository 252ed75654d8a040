-- Which of some ids the files have.
select event_id from ({rows}) as rows
semi join wanted using (event_id)
