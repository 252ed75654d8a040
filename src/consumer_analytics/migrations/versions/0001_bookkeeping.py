"""Apply migrations/sql/0001_bookkeeping.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0001_bookkeeping")
