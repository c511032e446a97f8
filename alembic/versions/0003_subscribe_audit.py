"""Grants that subscribe, changes of the audit log that belong together or to one folder."""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("acl_entry", sa.Column("subscribe", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("audit", sa.Column("group_id", sa.String(32)))
    op.add_column("audit", sa.Column("mailbox_id", sa.BigInteger))
    op.create_index("ix_audit_object", "audit", ["object"])
