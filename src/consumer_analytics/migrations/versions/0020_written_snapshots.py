"""Apply migrations/sql/0020_written_snapshots.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0020_written_snapshots")
