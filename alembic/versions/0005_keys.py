"""Keys of SCRAM and the site's secret, passwords for programs, and what messages are sorted and threaded by."""

import secrets

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("user_account", sa.Column("scram", sa.Text))
    op.add_column("site", sa.Column("secret", sa.LargeBinary(32)))
    site = sa.table("site", sa.column("secret", sa.LargeBinary))
    connection.execute(sa.update(site).values(secret=secrets.token_bytes(32)))
    op.create_table(
        "app_password",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("user_id", KEY, sa.ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("lookup", sa.String(8), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("used_at", sa.Float),
        sa.UniqueConstraint("user_id", "name", name="uq_app_password_user_id"),
        sa.UniqueConstraint("lookup", name="uq_app_password_lookup"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sort_key",
        sa.Column("body_id", KEY, sa.ForeignKey("body.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("sent", sa.BigInteger),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("is_reply", sa.Boolean, nullable=False),
        sa.Column("from_mailbox", sa.Text, nullable=False),
        sa.Column("to_mailbox", sa.Text, nullable=False),
        sa.Column("cc_mailbox", sa.Text, nullable=False),
        sa.Column("from_display", sa.Text, nullable=False),
        sa.Column("to_display", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("refs", sa.Text, nullable=False),
    )
