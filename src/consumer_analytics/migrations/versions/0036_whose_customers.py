"""Apply migrations/sql/0036_whose_customers.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0036_whose_customers")
