"""Apply sql/migrations/0010_counters.sql."""

from consumer_analytics.engine.schema import apply_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0010_counters")
