"""Apply migrations/sql/0030_anomalies.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0030_anomalies")
