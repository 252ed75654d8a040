"""Apply migrations/sql/0024_untold_events.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0024_untold_events")
