"""Alembic revisions, one for each file of `migrations/sql`."""
