"""Apply migrations/sql/0046_now_over_shards.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0046_now_over_shards")
