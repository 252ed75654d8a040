"""Apply migrations/sql/0023_interrupted_runs.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0023_interrupted_runs")
