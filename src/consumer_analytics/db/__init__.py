"""The database: sessions, locks, the schema and who may do what in it."""
