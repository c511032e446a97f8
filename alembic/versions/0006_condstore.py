"""Modseqs that tell each user of what that user can see; previews."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column, source in (
        ("mailbox", "common_modseq", "highest_modseq"),
        ("mailbox", "home_modseq", "highest_modseq"),
        ("message", "common_modseq", "modseq"),
    ):
        op.add_column(table, sa.Column(column, sa.BigInteger, nullable=False, server_default="0"))
        op.execute(f"UPDATE {table} SET {column} = {source}")
    op.add_column("seen", sa.Column("turns", sa.Text, nullable=False, server_default=""))
    op.add_column("body", sa.Column("preview", sa.Text))
