-- As it was recorded before 0016: a database is brought here by the same files as ever.
insert into consumer_analytics_internal.migrations (version, name, checksum, product_version)
values (%(version)s, %(name)s, %(checksum)s, %(product)s)
