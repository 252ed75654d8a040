-- How many rows there are.
select count(*) as n from ({events}) as events
