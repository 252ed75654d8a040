"""Apply migrations/sql/0008_incidents.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0008_incidents")
