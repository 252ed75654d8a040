"""Apply migrations/sql/0002_source_tables.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0002_source_tables")
