"""Apply migrations/sql/0012_counters.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0012_counters")
