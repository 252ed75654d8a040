"""Apply migrations/sql/0032_archive.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0032_archive")
