"""Apply migrations/sql/0028_late_customers.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0028_late_customers")
