"""Names as users see them, and the places they stand for.  RFC 2342.

Three namespaces: personal ``""``, other users' and shared.  A place is (home, path): the user whose
personal tree it is in, or None for the shared tree, and the name below that root.  Another user's INBOX
is the node ``Other Users/alice`` itself; her other mailboxes, and the children of INBOX, are below it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from acl_imapd.errors import Cannot
from acl_imapd.types import MailboxName

DELIMITER = "/"
INBOX = "INBOX"
MAX_NAME_CHARS = 1000
MAX_LEVEL_CHARS = 200
MAX_LEVELS = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads: *home* is a user's name, None for the shared tree."""

    home: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The two prefixes; both end in the delimiter.

    With a *root* it is the view of whoever logs in as ``bob%Support``: one shared tree as an account of its own.  The
    tree's root is INBOX, what is below it is beside INBOX, and there is nothing else.
    """

    other_users: str = "Other Users/"
    shared: str = "Shared Folders/"
    root: str | None = None  # the path of the tree, below the shared prefix

    def within(self, root: str) -> Namespaces:
        """The view of that shared tree."""
        return replace(self, root=root)

    def place(self, name: str, user: str | None) -> Place | None:
        """The place that *name* stands for when *user* says it; None where no mailbox can be.

        With ``user=None`` (the administrator's spelling) there is no personal namespace.
        """
        if self.root is not None:
            return self._place_in_tree(self.root, name)
        if name.startswith(self.shared):
            path = name[len(self.shared) :]
            return Place(None, path) if path else None
        if name.startswith(self.other_users):
            home, _, path = name[len(self.other_users) :].partition(DELIMITER)
            # One mailbox has one name: one's own are not below Other Users, and INBOX is the node itself.
            if not home or home == user or path == INBOX:
                return None
            return Place(home, path or INBOX)
        if user is None or not name or name + DELIMITER in (self.shared, self.other_users):
            return None
        return Place(user, name)

    def name(self, home: str | None, path: str, user: str | None) -> MailboxName:
        """The name of a place as *user* sees it; with None as an administrator writes it.  Of places it shows."""
        if self.root is not None:
            return MailboxName(INBOX if path == self.root else path[len(self.root) + 1 :])
        if home is None:
            return MailboxName(self.shared + path)
        if home == user:
            return MailboxName(path)
        return MailboxName(self.other_users + home + ("" if path == INBOX else DELIMITER + path))

    def _place_in_tree(self, root: str, name: str) -> Place | None:
        if name == INBOX:
            return Place(None, root)
        if not name or _is_inbox(name.partition(DELIMITER)[0]):
            return None
        return Place(None, root + DELIMITER + name)

    def shows(self, home: str | None, path: str) -> bool:
        """True where the place has a name.  In the view of a tree, what is called INBOX below its root has none."""
        if self.root is None or (home is None and path == self.root):
            return True
        below = path[len(self.root) + 1 :]
        inside = home is None and path.startswith(self.root + DELIMITER)
        return inside and not _is_inbox(below.partition(DELIMITER)[0])

    def is_inbox(self, place: Place, user: str) -> bool:
        """True for the place that *user* calls INBOX."""
        return place == (Place(user, INBOX) if self.root is None else Place(None, self.root))

    def roots(self) -> tuple[str, str]:
        """The names of the two namespace roots, without the delimiter."""
        return self.other_users[:-1], self.shared[:-1]


def _is_inbox(level: str) -> bool:
    return level.isascii() and level.upper() == INBOX  # RFC 3501 §5.1; not the dotless i


def split_login(login: str) -> tuple[str, str | None]:
    """The account of a login, and the shared tree it is to present: ``bob%Support``.  No user's name has a ``%``."""
    name, percent, tree = login.partition("%")
    return name, tree if percent else None


def valid_new_path(path: str) -> str:
    """*path*, if a mailbox may be made under that name; Cannot otherwise."""
    levels = path.split(DELIMITER)
    if not path or "" in levels:
        raise Cannot("A mailbox name has no empty level")
    if len(path) > MAX_NAME_CHARS or len(levels) > MAX_LEVELS or max(map(len, levels)) > MAX_LEVEL_CHARS:
        raise Cannot("The mailbox name is too long")
    if any(ord(char) < 32 or ord(char) == 127 or char in "*%" or 0xD800 <= ord(char) < 0xE000 for char in path):
        raise Cannot("A mailbox name has no control characters, * or %")
    return path


def parent_path(path: str) -> str:
    """The path one level up; ``""`` at the top."""
    return path.rpartition(DELIMITER)[0]


def ancestors(name: str) -> list[str]:
    """All proper ancestors of *name*, the nearest last: ``a/b/c`` gives ``["a", "a/b"]``."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]
