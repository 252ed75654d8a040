"""Apply migrations/sql/0040_edited_rows.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0040_edited_rows")
