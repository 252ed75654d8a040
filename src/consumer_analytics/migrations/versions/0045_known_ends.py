"""Apply migrations/sql/0045_known_ends.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0045_known_ends")
