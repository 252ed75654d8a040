"""Apply migrations/sql/0038_truncated_customers.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0038_truncated_customers")
