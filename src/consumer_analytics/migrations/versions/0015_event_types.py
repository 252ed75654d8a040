"""Apply migrations/sql/0015_event_types.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0015_event_types")
