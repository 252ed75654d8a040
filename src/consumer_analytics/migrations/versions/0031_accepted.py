"""Apply migrations/sql/0031_accepted.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0031_accepted")
