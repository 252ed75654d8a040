"""Apply migrations/sql/0022_rights.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0022_rights")
