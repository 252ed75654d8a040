"""Apply migrations/sql/0017_intervals.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0017_intervals")
