insert into consumer_analytics_internal.shards (name, identity)
values (%(name)s, %(identity)s)
