"""One client's conversation: who it is, what it has selected, what it has been told."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from acl_imapd.access.gate import Access, Gate
from acl_imapd.access.listing import Changes, Listing
from acl_imapd.access.logins import Logins
from acl_imapd.access.rights import Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.auth.oauth import Tokens
from acl_imapd.auth.throttle import Throttle
from acl_imapd.commands.announce import announcements
from acl_imapd.commands.registry import State
from acl_imapd.commands.render import LINES_PER_CHUNK, flag_names, flags_text
from acl_imapd.mail.collation import DEFAULT
from acl_imapd.mailbox.selected import Selected
from acl_imapd.notify.coalesce import detached
from acl_imapd.proto.engine import Limits
from acl_imapd.proto.responses import untagged
from acl_imapd.types import MailboxId, UserId


class Disconnected(Exception):
    """The client has gone while a command waited for it."""


class Channel(Protocol):
    """The connection, as far as commands may know of it."""

    peer: str

    @property
    def secure(self) -> bool: ...
    @property
    def loopback(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    def drain(self) -> Awaitable[None]: ...
    def close(self) -> None: ...
    def start_tls(self) -> None: ...
    def read_line(self) -> Awaitable[bytes]: ...
    def authenticated(self) -> None: ...
    def sleep(self, seconds: float) -> Awaitable[None]: ...

    def channel_binding(self, kind: bytes) -> bytes | None:
        """What identifies this TLS connection (RFC 5056), by one of the kinds; None where it cannot be told."""

    def client_names(self) -> list[str]:
        """The names in the certificate by which the client has proved who it is, if it has."""


class SearchContext(Protocol):
    """A search whose result the client is told the changes of.  RFC 5267."""

    def vanish(self, seq_of: dict[int, int]) -> bytes | None: ...
    async def catch_up(self) -> None: ...


@dataclass(slots=True)
class Site:
    """What every session of a server needs."""

    gate: Gate
    logins: Logins
    throttle: Throttle
    tokens: Tokens | None = None  # None: bearer tokens are not taken
    plaintext_on_loopback: bool = True
    has_tls: bool = True
    max_connections_per_user: int = 100
    connections: dict[UserId, int] | None = None
    limits: Limits = field(default_factory=Limits)


class Session:
    """The state machine of RFC 3501 §3, and the watcher of what it has selected."""

    def __init__(self, site: Site, channel: Channel) -> None:
        self.site = site
        self.channel = channel
        self.access: Access | None = None
        self.view: MailboxView | None = None
        self.selected: Selected | None = None
        self.read_only = False
        self.rights = Rights(0)
        self.enabled: set[bytes] = set()  # RFC 5161
        self.condstore = False  # RFC 7162 §3.1: it said that it knows of modseqs
        self.qresync = False
        self.uidonly = False  # RFC 9586: it hears and says no sequence number
        self._held_back = False  # it was told to go no further than some modseq, since an EXPUNGE had to wait
        self.contexts: dict[bytes, SearchContext] = {}  # by the tag of the search
        self._updating = False
        self.comparator = DEFAULT  # how SEARCH and SORT compare texts: a name in mail.collation.COLLATIONS
        self.closed = False
        self.tag = b"*"
        self.leaving = False  # closed once the answer is out
        self.idling = False
        self.told: Listing | None = None  # what of LIST its client knows; None where it never asked
        self.telling = False
        self.done: list[str] = []  # names that the client has made, renamed or removed by itself since
        self.mailbox_id = MailboxId(0)
        self.user_id = UserId(0)
        self.user_name = ""

    @property
    def state(self) -> State:
        if self.access is None:
            return State.NOT_AUTHENTICATED
        return State.AUTHENTICATED if self.selected is None else State.SELECTED

    @property
    def user(self) -> Access:
        """Who has logged in.  Only for commands of states in which somebody has."""
        assert self.access is not None
        return self.access

    def write(self, data: bytes) -> None:
        """Send *data*; nothing once the session is closed."""
        if not self.closed:
            self.channel.write(data)

    def tell(self, data: bytes) -> None:
        """Send an untagged response."""
        self.write(untagged(data))

    def bye(self, text: str) -> None:
        """End the session, saying why."""
        if not self.closed:
            self.tell(b"BYE " + text.encode())
            self.end()
            self.channel.close()

    def end(self) -> None:
        """Give up everything; the connection is gone or going."""
        if self.closed:
            return
        self.unselect()
        self.closed = True
        self.site.gate.directory.leave(self)
        if self.access is not None:
            self.site.gate.audience.leave(self)
        if self.access is not None and self.site.connections is not None:
            left = self.site.connections.get(self.user_id, 1) - 1
            if left > 0:
                self.site.connections[self.user_id] = left
            else:
                self.site.connections.pop(self.user_id, None)

    def account_changed(self, name: str | None) -> None:
        """The user is disabled, gone, or called otherwise: what this session calls its own is under another name."""
        if self.access is None:
            self.user_name = name or ""  # whoever is still logging in compares it, and is told NO
        elif name is None:
            self.bye("This account is disabled")
        elif name != self.user_name:
            self.bye("This account has another name now; log in by that")

    # -- the folders ------------------------------------------------------------------------------------------

    def did(self, *names: str) -> None:
        """The client knows of these folders, since it has made or removed them."""
        if self.told is not None:
            self.done += [name.removesuffix("/") for name in names]

    async def tell_folders(self, changed: Changes, listing: Listing, subscribed: frozenset[str]) -> None:
        """LIST responses for what comes and goes, but for what the client itself has done."""
        done, self.done = self.done, []
        lines = announcements(changed, listing, subscribed, done)
        if len(lines) <= LINES_PER_CHUNK:
            self.write(b"".join(lines))
            return
        self.telling = True
        try:
            for start in range(0, len(lines), LINES_PER_CHUNK):
                self.write(b"".join(lines[start : start + LINES_PER_CHUNK]))
                await self.channel.drain()
        finally:
            self.telling = False
        if self.idling:
            self.site.gate.audience.idles(self)

    # -- the selected mailbox ---------------------------------------------------------------------------------

    def select(self, view: MailboxView, selected: Selected, rights: Rights) -> None:
        """Enter the selected state."""
        self.view, self.selected, self.rights = view, selected, rights
        self.mailbox_id = view.mailbox.id
        self.read_only = selected.read_only
        gate = self.site.gate
        gate.directory.watch(self, view.mailbox)
        gate.indexes.hub.listen(self.mailbox_id, self.mailbox_changed)

    def unselect(self) -> None:
        """Leave the selected state."""
        if self.selected is None:
            return
        gate = self.site.gate
        gate.directory.unwatch(self)
        gate.indexes.hub.forget(self.mailbox_id, self.mailbox_changed)
        gate.indexes.close(self.selected.index)
        self.view = self.selected = None
        self.contexts.clear()

    def rights_changed(self) -> None:
        """Somebody's rights changed: this session is cut off, told, or not concerned.  RFC 4314 §5.1.1 MAY: we
        close, since clients go on asking after a NO."""
        if self.view is None or self.selected is None:
            return
        directory = self.site.gate.directory
        mailbox = directory.watched(self.mailbox_id)
        if mailbox is None:
            self.bye("The folder has been removed")
            return
        rights = directory.rights_now(mailbox, self.user_id)
        if rights is None or not rights & Rights.r:
            self.bye("You may no longer read this folder")
            return
        old_own_seen = self.selected.own_seen
        self.view.mailbox = mailbox
        self.selected.own_seen = self.view.own_seen
        if rights != self.rights or old_own_seen != self.selected.own_seen:
            was_writable = self.view.changes_mailbox(self.rights)
            self.rights = rights
            self.tell_permanent_flags()
            writable = self.view.changes_mailbox(rights)
            if writable != was_writable and not self.read_only:
                self.tell(b"OK [READ-WRITE] You may change it" if writable else b"OK [READ-ONLY] You may only read it")

    def tell_permanent_flags(self) -> None:
        """``* OK [PERMANENTFLAGS (…)]``, just what STORE will let this user change."""
        assert self.view is not None
        assert self.selected is not None
        flags = [] if self.read_only else self.view.permanent_flags(self.rights)
        if flags and self.rights & Rights.w:
            flags += [name.encode() for name in self.selected.index.keywords.values()]
            flags.append(b"\\*")
        self.tell(b"OK [PERMANENTFLAGS (%b)] Kept" % b" ".join(flags))

    def tell_flags(self) -> None:
        """``* FLAGS (…)``, and what of them is kept: a keyword is new."""
        assert self.selected is not None
        self.tell(b"FLAGS (%b)" % b" ".join(flag_names(self.selected.index.keywords)))
        self.tell_permanent_flags()

    def enable_condstore(self) -> None:
        """From now on modseqs are told.  RFC 7162 §3.1: the first time, that of what is selected too."""
        if not self.condstore:
            self.condstore = True
            if self.selected is not None:
                self.tell_highest_modseq()

    def tell_highest_modseq(self) -> None:
        """``* OK [HIGHESTMODSEQ n]``: up to there the client has been told everything."""
        assert self.selected is not None
        self.tell(b"OK [HIGHESTMODSEQ %d] Told up to here" % self.selected.told_highest)

    def mailbox_changed(self) -> None:
        """The index has news: an idling client hears at once, another with its next command."""
        if self.idling:
            self.sync(expunge_ok=True)
            if self.contexts and not self._updating:
                detached(self.update_contexts(), _failed)

    async def update_contexts(self) -> None:
        """Tell how results that are kept up to date have changed by what has been told of the mailbox."""
        if not self.contexts or self._updating:
            return
        self._updating = True
        try:
            selected = self.selected
            told = -1
            while selected is not None and self.selected is selected and told != selected.told_modseq:
                told = selected.told_modseq  # while some catch up more may be told
                for context in list(self.contexts.values()):
                    await context.catch_up()
        finally:
            self._updating = False

    def sync(self, *, expunge_ok: bool, uid: bool = False) -> None:
        """Tell what the client does not know yet.  RFC 3501 §5.2, §7.4.1."""
        selected = self.selected
        if selected is None or self.closed or not selected.owes():
            return
        updates = selected.updates(expunge_ok=expunge_ok)
        if updates.delayed and self.condstore:
            # RFC 7162 §3.2: or a client that is cut off now would never hear of the EXPUNGE.
            self._held_back = True
            self.tell_highest_modseq()
        if (self.qresync or self.uidonly) and updates.vanished:
            lines = [b"* VANISHED %b\r\n" % updates.vanished.encode().encode()]
        else:
            lines = [b"* %d EXPUNGE\r\n" % seq for seq in updates.expunged]
        if self.contexts and updates.expunged:
            seq_of = dict(zip(updates.vanished, reversed(updates.expunged), strict=True))
            lines = [line for one in self.contexts.values() if (line := one.vanish(seq_of)) is not None] + lines
        if updates.exists is not None:
            lines.append(b"* %d EXISTS\r\n" % updates.exists)
        if updates.recent is not None:
            lines.append(b"* %d RECENT\r\n" % updates.recent)
        if updates.keywords:
            self.tell_flags()
        for low, high in updates.changed.ranges:
            lines += self.flag_lines(selected, low - 1, high, uid=uid)
        if lines:
            self.write(b"".join(lines))
        if self._held_back and not selected.owes():
            self._held_back = False
            self.tell_highest_modseq()

    def fetch_head(self, seq: int, uid: int, *, uid_item: bool = False) -> bytes:
        """``* 3 FETCH (``, with the UID where it is told as an item; ``* 1003 UIDFETCH (`` where there are no sequence
        numbers."""
        if self.uidonly:
            return b"* %d UIDFETCH (" % uid
        return b"* %d FETCH (UID %d " % (seq, uid) if uid_item else b"* %d FETCH (" % seq

    def flag_lines(self, selected: Selected, start: int, stop: int, *, uid: bool) -> list[bytes]:
        """Unsolicited FETCH responses of those positions that are still there; with UID and MODSEQ for whoever knows
        of modseqs (RFC 7162 §3.2.4)."""
        keywords = selected.index.keywords
        numbers = zip(range(start + 1, stop + 1), selected.uids(start, stop), selected.flags(start, stop), strict=True)
        if self.condstore or self.uidonly:
            modseqs = selected.modseqs(start, stop) if self.condstore else [0] * (stop - start)
            return [
                b"%bFLAGS %b%b)\r\n"
                % (
                    self.fetch_head(seq, one, uid_item=True),
                    flags_text(bits, keywords),
                    b" MODSEQ (%d)" % modseq if modseq else b"",
                )
                for (seq, one, bits), modseq in zip(numbers, modseqs, strict=True)
                if bits >= 0
            ]
        if uid:
            return [
                b"* %d FETCH (UID %d FLAGS %b)\r\n" % (seq, one, flags_text(bits, keywords))
                for seq, one, bits in numbers
                if bits >= 0
            ]
        return [
            b"* %d FETCH (FLAGS %b)\r\n" % (seq, flags_text(bits, keywords)) for seq, _, bits in numbers if bits >= 0
        ]


def _failed(error: object) -> None:
    structlog.get_logger().error("results could not be kept up to date", reason=str(error))
