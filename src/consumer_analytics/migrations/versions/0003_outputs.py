"""Apply migrations/sql/0003_outputs.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0003_outputs")
