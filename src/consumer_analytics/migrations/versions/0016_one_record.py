"""Apply migrations/sql/0016_one_record.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0016_one_record")
