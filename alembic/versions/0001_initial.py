"""The tables of the first release, the one row of site, and the roles that are there from the start.

Written out, not made from storage/schema.py: that is what the newest release needs, this is where the first began.
"""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts rowids only in a column that is exactly INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "acl",
        sa.Column("id", KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acl")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_acl_epoch"), "acl", ["epoch"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "body",
        sa.Column("id", KEY, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("structure_ext", sa.LargeBinary(), nullable=False),
        sa.Column("blob_key", sa.String(length=80), nullable=True),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_body")),
        sa.UniqueConstraint("sha256", name=op.f("uq_body_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "role",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("rights", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )
    op.create_table(
        "site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("acl_epoch", sa.BigInteger(), nullable=False),
        sa.Column("tree_epoch", sa.BigInteger(), nullable=False),
        sa.Column("identity_epoch", sa.BigInteger(), nullable=False),
        sa.Column("last_uidvalidity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
    )
    op.create_table(
        "team",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("name", name=op.f("uq_team_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user_account",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("name", name=op.f("uq_user_account_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "acl_entry",
        sa.Column("id", KEY, nullable=False),
        sa.Column("acl_id", KEY, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("team_id", KEY, nullable=True),
        sa.Column("negative", sa.Boolean(), nullable=False),
        sa.Column("rights", sa.String(length=16), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["acl_id"], ["acl.id"], name=op.f("fk_acl_entry_acl_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_acl_entry_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_acl_entry_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acl_entry")),
    )
    op.create_index(op.f("ix_acl_entry_acl_id"), "acl_entry", ["acl_id"], unique=False)
    op.create_index("ix_acl_entry_kind", "acl_entry", ["kind"], unique=False)
    op.create_index(op.f("ix_acl_entry_team_id"), "acl_entry", ["team_id"], unique=False)
    op.create_index(op.f("ix_acl_entry_user_id"), "acl_entry", ["user_id"], unique=False)
    op.create_table(
        "mailbox",
        sa.Column("id", KEY, nullable=False),
        sa.Column("objectid", sa.String(length=32), nullable=False),
        sa.Column("home_id", KEY, nullable=True),
        sa.Column("owner_user_id", KEY, nullable=True),
        sa.Column("owner_team_id", KEY, nullable=True),
        sa.Column("parent_id", KEY, nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("acl_id", KEY, nullable=False),
        sa.Column("acl_own", sa.Boolean(), nullable=False),
        sa.Column("seen_shared", sa.Boolean(), nullable=False),
        sa.Column("seen_own", sa.Boolean(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uidnext", sa.BigInteger(), nullable=False),
        sa.Column("highest_modseq", sa.BigInteger(), nullable=False),
        sa.Column("recent_uid", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("unseen", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("deleted_bytes", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("special_use", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["acl_id"], ["acl.id"], name=op.f("fk_mailbox_acl_id")),
        sa.ForeignKeyConstraint(["home_id"], ["user_account.id"], name=op.f("fk_mailbox_home_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["owner_team_id"], ["team.id"], name=op.f("fk_mailbox_owner_team_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["owner_user_id"], ["user_account.id"], name=op.f("fk_mailbox_owner_user_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["mailbox.id"], name=op.f("fk_mailbox_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("objectid", name=op.f("uq_mailbox_objectid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_mailbox_acl_id"), "mailbox", ["acl_id"], unique=False)
    op.create_index(op.f("ix_mailbox_owner_team_id"), "mailbox", ["owner_team_id"], unique=False)
    op.create_index(op.f("ix_mailbox_owner_user_id"), "mailbox", ["owner_user_id"], unique=False)
    op.create_index(op.f("ix_mailbox_parent_id"), "mailbox", ["parent_id"], unique=False)
    op.create_index(
        "uq_mailbox_home_path",
        "mailbox",
        ["home_id", "path"],
        unique=True,
        sqlite_where=sa.text("home_id IS NOT NULL"),
        postgresql_where=sa.text("home_id IS NOT NULL"),
    )
    op.create_index(
        "uq_mailbox_shared_path",
        "mailbox",
        ["path"],
        unique=True,
        sqlite_where=sa.text("home_id IS NULL"),
        postgresql_where=sa.text("home_id IS NULL"),
    )
    op.create_table(
        "team_member",
        sa.Column("id", KEY, nullable=False),
        sa.Column("team_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("member_team_id", KEY, nullable=True),
        sa.Column("manager", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (member_team_id IS NULL)", name=op.f("ck_team_member_one_member")),
        sa.ForeignKeyConstraint(
            ["member_team_id"], ["team.id"], name=op.f("fk_team_member_member_team_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_team_member_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_team_member_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_member")),
        sa.UniqueConstraint("team_id", "user_id", "member_team_id", name=op.f("uq_team_member_team_id")),
    )
    op.create_index(op.f("ix_team_member_member_team_id"), "team_member", ["member_team_id"], unique=False)
    op.create_index(op.f("ix_team_member_user_id"), "team_member", ["user_id"], unique=False)
    op.create_table(
        "expunged",
        sa.Column("mailbox_id", KEY, autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_expunged_mailbox_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "modseq", name=op.f("pk_expunged")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "keyword",
        sa.Column("mailbox_id", KEY, autoincrement=False, nullable=False),
        sa.Column("bit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_keyword_mailbox_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "bit", name=op.f("pk_keyword")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message",
        sa.Column("mailbox_id", KEY, autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("internal_date", sa.BigInteger(), nullable=False),
        sa.Column("internal_zone", sa.SmallInteger(), nullable=False),
        sa.Column("save_date", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_message_body_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_message_mailbox_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name=op.f("pk_message")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_message_body_id"), "message", ["body_id"], unique=False)
    op.create_index("ix_message_modseq", "message", ["mailbox_id", "modseq"], unique=False)
    op.create_table(
        "seen",
        sa.Column("mailbox_id", KEY, autoincrement=False, nullable=False),
        sa.Column("user_id", KEY, autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("uids", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_seen_mailbox_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_seen_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "user_id", name=op.f("pk_seen")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_seen_user_id"), "seen", ["user_id"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("mailbox_id", KEY, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_subscription_mailbox_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_subscription_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("user_id", "mailbox_id", name=op.f("uq_subscription_user_id")),
    )
    op.create_index(op.f("ix_subscription_mailbox_id"), "subscription", ["mailbox_id"], unique=False)
    op.create_index(op.f("ix_subscription_user_id"), "subscription", ["user_id"], unique=False)
    site = sa.table(
        "site",
        sa.column("id"),
        sa.column("acl_epoch"),
        sa.column("tree_epoch"),
        sa.column("identity_epoch"),
        sa.column("last_uidvalidity"),
    )
    op.bulk_insert(site, [{"id": 1, "acl_epoch": 1, "tree_epoch": 1, "identity_epoch": 1, "last_uidvalidity": 0}])
    roles = [("reader", "lrs"), ("contributor", "lrsip"), ("editor", "lrswipte"), ("manager", "lrswipkxtea")]
    role = sa.table("role", sa.column("name"), sa.column("rights"))
    op.bulk_insert(role, [{"name": name, "rights": rights} for name, rights in roles])
