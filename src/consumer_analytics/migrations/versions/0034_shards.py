"""Apply migrations/sql/0034_shards.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0034_shards")
