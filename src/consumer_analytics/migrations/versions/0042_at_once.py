"""Apply migrations/sql/0042_at_once.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0042_at_once")
