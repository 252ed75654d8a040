"""Apply migrations/sql/0039_lone_changes.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0039_lone_changes")
