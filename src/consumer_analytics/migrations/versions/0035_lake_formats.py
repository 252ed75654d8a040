"""Apply migrations/sql/0035_lake_formats.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0035_lake_formats")
