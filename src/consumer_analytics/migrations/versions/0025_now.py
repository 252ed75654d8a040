"""Apply migrations/sql/0025_now.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0025_now")
