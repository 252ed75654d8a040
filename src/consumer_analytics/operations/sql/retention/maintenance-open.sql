insert into consumer_analytics_internal.maintenance (requested_by)
values (%(who)s)
returning maintenance_id
