-- What the database takes the sources to be called; null where nobody may ask, or nobody has said it.
select nullif(consumer_analytics_internal.source_names(), '{{}}')
