insert into consumer_analytics_internal.migrations (version, name, checksum, product_version)
values (%(version)s, %(name)s, %(checksum)s, %(product)s)
