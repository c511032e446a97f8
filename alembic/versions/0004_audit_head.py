"""The head of the audit log kept outside its rows, and whom a row concerns."""

import time

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUBJECTS = ("user_id", "other_user_id", "team_id", "other_team_id")


def upgrade() -> None:
    for column in SUBJECTS:
        op.add_column("audit", sa.Column(column, sa.BigInteger))
    for column in (*SUBJECTS, "group_id", "mailbox_id"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_audit_{column}", "audit", [column], sqlite_where=there, postgresql_where=there)
    op.add_column("site", sa.Column("audit_id", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("site", sa.Column("audit_hash", sa.LargeBinary(32)))
    op.add_column("site", sa.Column("audit_at", sa.Float, nullable=False, server_default="0"))
    op.add_column("site", sa.Column("audit_since", sa.Float, nullable=False, server_default="0"))
    connection = op.get_bind()
    site = sa.table("site", *map(sa.column, ("audit_id", "audit_hash", "audit_at", "audit_since")))
    audit = sa.table("audit", *map(sa.column, ("id", "hash", "at")))
    last = connection.execute(sa.select(audit).order_by(audit.c.id.desc()).limit(1)).first()
    now = connection.get_execution_options().get("now", time.time)
    values = {"audit_since": now()}
    if last is not None:
        values |= {"audit_id": last.id, "audit_hash": last.hash, "audit_at": last.at}
    connection.execute(sa.update(site).values(values))
