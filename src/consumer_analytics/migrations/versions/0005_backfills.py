"""Apply migrations/sql/0005_backfills.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0005_backfills")
