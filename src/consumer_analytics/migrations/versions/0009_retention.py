"""Apply migrations/sql/0009_retention.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0009_retention")
