"""Apply migrations/sql/0019_vanished.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0019_vanished")
