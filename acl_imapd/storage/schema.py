"""The tables.  Every other module of storage/ speaks of these; alembic/versions/ makes them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)
# SQLite counts rowids only in a column that is exactly INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")

# One row.  Whoever compares these three with what it has cached knows what to drop: acl_epoch moves with
# any ACL (acl.epoch tells which), tree_epoch with any mailbox made, renamed, removed or given another ACL,
# identity_epoch with any user, team or membership.  They only grow.  audit_*: the last row of the audit log, kept here
# so that its removal is noticed; audit_since: from when on the log's rows are enough to tell what was before them.
site = Table(
    "site",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("acl_epoch", BigInteger, nullable=False),
    Column("tree_epoch", BigInteger, nullable=False),
    Column("identity_epoch", BigInteger, nullable=False),
    Column("last_uidvalidity", BigInteger, nullable=False),
    Column("audit_id", BigInteger, nullable=False, default=0),
    Column("audit_hash", LargeBinary(32)),
    Column("audit_at", Float, nullable=False, default=0),
    Column("audit_since", Float, nullable=False, default=0),
    Column("secret", LargeBinary(32)),  # what is made up for users who do not exist is made up from it
)

user = Table(
    "user_account",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("password_hash", Text),
    Column("disabled", Boolean, nullable=False),
    Column("quota_bytes", BigInteger),
    Column("created_at", Float, nullable=False),
    Column("domain", String(255), index=True),  # what follows the @ of the name, in lower case
    Column("scram", Text),  # of the same password: auth.scram.Keys.encode; NULL until it is known
    sqlite_autoincrement=True,
)

# A password for one program of a user; lookup is how the password begins.
app_password = Table(
    "app_password",
    metadata,
    Column("id", Key, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("lookup", String(8), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("until", Float),
    Column("used_at", Float),
    UniqueConstraint("user_id", "name"),
    sqlite_autoincrement=True,
)

team = Table(
    "team",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# A member is a user or a team.  The managers of a team that owns a mailbox are its owner (RFC 4314 §2).
team_member = Table(
    "team_member",
    metadata,
    Column("id", Key, primary_key=True),
    Column("team_id", ForeignKey("team.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), index=True),
    Column("member_team_id", ForeignKey("team.id", ondelete="CASCADE"), index=True),
    Column("manager", Boolean, nullable=False),
    Column("since", Float),
    Column("until", Float, index=True),
    Column("reason", Text),
    Column("added_by", String(255)),
    Column("added_at", Float),
    CheckConstraint("(user_id IS NULL) <> (member_team_id IS NULL)", name="one_member"),
    UniqueConstraint("team_id", "user_id", "member_team_id"),
)

role = Table(
    "role",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("rights", String(16), nullable=False),
)

acl = Table(
    "acl",
    metadata,
    Column("id", Key, primary_key=True),
    Column("epoch", BigInteger, nullable=False, index=True),  # site.acl_epoch of the last change
    sqlite_autoincrement=True,
)

# kind: rights.IdentifierKind.  user_id for USER, team_id for TEAM, domain for DOMAIN, none for the others.  Where
# there is a role its rights count, not this row's.  since and until: seconds since 1970; it holds from since on,
# and from until on no more.
acl_entry = Table(
    "acl_entry",
    metadata,
    Column("id", Key, primary_key=True),
    Column("acl_id", ForeignKey("acl.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", SmallInteger, nullable=False),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), index=True),
    Column("team_id", ForeignKey("team.id", ondelete="CASCADE"), index=True),
    Column("negative", Boolean, nullable=False),
    Column("rights", String(16), nullable=False),  # letters of "lrswipkxtea" in that order
    Column("role_id", ForeignKey("role.id"), index=True),
    Column("domain", String(255), index=True),
    Column("since", Float),
    Column("until", Float, index=True),
    Column("subscribe", Boolean, nullable=False, default=True),  # whoever it makes see the folder is subscribed to it
    Column("granted_by", String(255), nullable=False),
    Column("granted_at", Float, nullable=False),
    Column("reason", Text),
    Index("ix_acl_entry_kind", "kind"),
)

# A personal mailbox has home_id = its user; path is "INBOX" or "Work/Sub".  A shared one has home_id NULL
# and perhaps an owner: a user or a team.  path is the whole name below the namespace, so that opening one
# name is one indexed read; only RENAME writes it.
mailbox = Table(
    "mailbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("objectid", String(32), nullable=False, unique=True),
    Column("home_id", ForeignKey("user_account.id", ondelete="CASCADE")),
    Column("owner_user_id", ForeignKey("user_account.id", ondelete="SET NULL"), index=True),
    Column("owner_team_id", ForeignKey("team.id", ondelete="SET NULL"), index=True),
    Column("parent_id", ForeignKey("mailbox.id"), index=True),
    Column("path", Text, nullable=False),
    Column("acl_id", ForeignKey("acl.id"), nullable=False, index=True),
    Column("acl_own", Boolean, nullable=False),  # False: acl_id is the parent's, and follows it
    Column("seen_shared", Boolean, nullable=False),  # \Seen common to all (else each user's own)
    Column("seen_own", Boolean, nullable=False),  # False: seen_shared follows the parent's
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uidnext", BigInteger, nullable=False),
    Column("highest_modseq", BigInteger, nullable=False),
    Column("recent_uid", BigInteger, nullable=False),  # greatest UID some session was given as \Recent
    Column("messages", BigInteger, nullable=False),
    Column("unseen", BigInteger, nullable=False),  # messages without bit 0 of flags
    Column("deleted", BigInteger, nullable=False),
    Column("deleted_bytes", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("special_use", String(32)),  # "\\Junk" …
    # The last change that every reader sees, and the last of the home's user's own \Seen; highest_modseq counts
    # the others' own \Seen too.
    Column("common_modseq", BigInteger, nullable=False),
    Column("home_modseq", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index(
    "uq_mailbox_home_path",
    mailbox.c.home_id,
    mailbox.c.path,
    unique=True,
    sqlite_where=mailbox.c.home_id.isnot(None),
    postgresql_where=mailbox.c.home_id.isnot(None),
)
Index(
    "uq_mailbox_shared_path",
    mailbox.c.path,
    unique=True,
    sqlite_where=mailbox.c.home_id.is_(None),
    postgresql_where=mailbox.c.home_id.is_(None),
)

# header ends with its blank line; header + text is the message.  Above the threshold text is NULL and
# blob_key names a file that holds the whole message.
body = Table(
    "body",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # as FETCH sends it
    Column("structure", LargeBinary, nullable=False),  # BODY, as FETCH sends it
    Column("structure_ext", LargeBinary, nullable=False),  # BODYSTRUCTURE, as FETCH sends it
    Column("blob_key", String(80)),
    Column("header", LargeBinary, nullable=False),
    Column("text", LargeBinary),
    Column("preview", Text),  # RFC 8970; NULL: not made yet
    sqlite_autoincrement=True,
)

# What a body is sorted and threaded by (mail/sortkeys.py), apart from it so that reading many is reading little.
# A body without a row has not been looked at yet.
sort_key = Table(
    "sort_key",
    metadata,
    Column("body_id", ForeignKey("body.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sent", BigInteger),  # seconds since 1970, UTC; NULL without a Date that can be read
    Column("subject", Text, nullable=False),  # the base subject, RFC 5256 §2.1
    Column("is_reply", Boolean, nullable=False),
    Column("from_mailbox", Text, nullable=False),
    Column("to_mailbox", Text, nullable=False),
    Column("cc_mailbox", Text, nullable=False),
    Column("from_display", Text, nullable=False),
    Column("to_display", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("refs", Text, nullable=False),  # message ids between spaces, the oldest first
)

# flags: bit 0 \Seen (of all where seen_shared, else of the home's user), 1 \Answered, 2 \Flagged,
# 3 \Deleted, 4 \Draft, 5… keywords (keyword.bit).
message = Table(
    "message",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, nullable=False),
    Column("flags", BigInteger, nullable=False),
    Column("internal_date", BigInteger, nullable=False),  # seconds since 1970, UTC
    Column("internal_zone", SmallInteger, nullable=False),  # minutes east of UTC it was given in
    Column("save_date", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body_id", ForeignKey("body.id"), nullable=False, index=True),
    Column("common_modseq", BigInteger, nullable=False),  # of the last change but of the home's user's own \Seen
    Index("ix_message_modseq", "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

expunged = Table(
    "expunged",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    Column("uids", Text, nullable=False),  # ranges.RangeSet.encode
    sqlite_with_rowid=False,
)

# Per-user \Seen: the existing UIDs this user has seen.
seen = Table(
    "seen",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    Column("modseq", BigInteger, nullable=False),
    Column("uids", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("turns", Text, nullable=False),  # turns.Turns.encode: which of them turned when
    sqlite_with_rowid=False,
)

keyword = Table(
    "keyword",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("bit", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    sqlite_with_rowid=False,
)

# A subscription hangs on the mailbox; when that goes, name keeps what the user called it (RFC 3501 §6.3.6).
subscription = Table(
    "subscription",
    metadata,
    Column("id", Key, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="SET NULL"), index=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("user_id", "mailbox_id"),
)

# Whoever has once unsubscribed a folder: a later grant does not subscribe it again.
unsubscribed = Table(
    "unsubscribed",
    metadata,
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    sqlite_with_rowid=False,
)

# The day (since 1970, UTC) on which a user last opened a folder that is not its own, or put something into it.
last_access = Table(
    "last_access",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    Column("day", Integer, nullable=False),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("channel", String(16), nullable=False),  # imap, cli, policy, expiry
    Column("peer", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("object", Text, nullable=False),
    Column("before", Text, nullable=False),  # JSON
    Column("after", Text, nullable=False),  # JSON
    Column("prev_hash", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("reason", Text),
    Column("group_id", String(32)),  # the changes that were made as one: a policy applied, a user's things handed over
    Column("mailbox_id", BigInteger),  # of whose rights, owner or settings; no key, since it outlives them
    # Whom the change concerns; the other: where a thing goes from one to another, or a team joins a team.
    Column("user_id", BigInteger),
    Column("other_user_id", BigInteger),
    Column("team_id", BigInteger),
    Column("other_team_id", BigInteger),
    Index("ix_audit_object", "object"),
    sqlite_autoincrement=True,
)
# A row is in the indexes of what it names and in no other: each costs every change of rights a page to write.  There
# is none by time, which is the order of id, nor by what has few values.
for name in ("group_id", "mailbox_id", "user_id", "other_user_id", "team_id", "other_team_id"):
    there = audit.c[name].isnot(None)
    Index(f"ix_audit_{name}", audit.c[name], sqlite_where=there, postgresql_where=there)
