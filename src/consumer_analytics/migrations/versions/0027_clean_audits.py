"""Apply migrations/sql/0027_clean_audits.sql."""

from consumer_analytics.db.schema import apply_file

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run the file, in the revision's own transaction."""
    apply_file("0027_clean_audits")
