"""Apply migrations/sql/0029_own_names.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0029_own_names")
