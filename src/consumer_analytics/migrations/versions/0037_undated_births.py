"""Apply migrations/sql/0037_undated_births.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0037_undated_births")
