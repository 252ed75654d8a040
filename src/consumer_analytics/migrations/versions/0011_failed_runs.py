"""Apply migrations/sql/0011_failed_runs.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0011_failed_runs")
