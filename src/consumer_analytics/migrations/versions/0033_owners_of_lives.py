"""Apply migrations/sql/0033_owners_of_lives.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0033_owners_of_lives")
