"""Apply migrations/sql/0043_unread_payloads.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0043_unread_payloads")
