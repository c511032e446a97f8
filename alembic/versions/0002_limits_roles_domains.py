"""Time limits, living roles, domains, last access, reasons in the audit log."""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    connection = op.get_bind()
    key = "BIGINT" if connection.dialect.name == "postgresql" else "INTEGER"
    # Written as SQL, since SQLite takes a foreign key with a new column in this form alone.
    op.execute(f"ALTER TABLE acl_entry ADD COLUMN role_id {key} REFERENCES role (id)")
    op.add_column("acl_entry", sa.Column("domain", sa.String(255)))
    op.add_column("acl_entry", sa.Column("since", sa.Float))
    op.add_column("acl_entry", sa.Column("until", sa.Float))
    for column in ("role_id", "domain", "until"):
        op.create_index(f"ix_acl_entry_{column}", "acl_entry", [column])
    op.add_column("team_member", sa.Column("since", sa.Float))
    op.add_column("team_member", sa.Column("until", sa.Float))
    op.add_column("team_member", sa.Column("reason", sa.Text))
    op.add_column("team_member", sa.Column("added_by", sa.String(255)))
    op.add_column("team_member", sa.Column("added_at", sa.Float))
    op.create_index("ix_team_member_until", "team_member", ["until"])
    op.add_column("audit", sa.Column("reason", sa.Text))
    op.add_column("user_account", sa.Column("domain", sa.String(255)))
    op.create_index("ix_user_account_domain", "user_account", ["domain"])
    user = sa.table("user_account", sa.column("id"), sa.column("name"), sa.column("domain"))
    for ident, name in connection.execute(sa.select(user.c.id, user.c.name).where(user.c.name.contains("@"))).all():
        domain = name.rpartition("@")[2].lower()
        connection.execute(sa.update(user).where(user.c.id == ident).values(domain=domain))
    op.create_table(
        "last_access",
        sa.Column("mailbox_id", KEY, sa.ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("user_id", KEY, sa.ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, index=True),
        sa.Column("day", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unsubscribed",
        sa.Column("user_id", KEY, sa.ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("mailbox_id", KEY, sa.ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, index=True),
        sqlite_with_rowid=False,
    )
