"""Apply migrations/sql/0010_dashboard.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0010_dashboard")
