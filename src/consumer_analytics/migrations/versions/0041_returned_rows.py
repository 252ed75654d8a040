"""Apply migrations/sql/0041_returned_rows.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0041_returned_rows")
