-- Answers nothing where the database is something already.
insert into consumer_analytics_internal.federation (role, name, analytics)
values (%(role)s, %(name)s, %(analytics)s)
on conflict do nothing
returning identity
