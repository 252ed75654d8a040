update consumer_analytics_internal.shards
set rows_through = %(rows)s, revisions_through = %(revisions)s
where name = %(name)s
