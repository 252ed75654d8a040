"""Apply migrations/sql/0006_repairs.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0006_repairs")
