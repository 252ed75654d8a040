"""Apply migrations/sql/0021_capture_guard.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0021_capture_guard")
