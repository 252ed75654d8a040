"""Apply migrations/sql/0044_untimed_rows.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0044_untimed_rows")
