"""Apply migrations/sql/0013_health.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0013_health")
