"""Apply migrations/sql/0004_engine_state.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0004_engine_state")
