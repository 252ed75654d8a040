"""Apply migrations/sql/0014_total.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0014_total")
