"""Apply migrations/sql/0018_lives.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0018_lives")
