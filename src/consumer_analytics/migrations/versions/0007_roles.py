"""Apply migrations/sql/0007_roles.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0007_roles")
