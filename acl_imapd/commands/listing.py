"""LIST and LSUB.  RFC 3501 §6.3.8, §6.3.9; RFC 5258, RFC 5819 (STATUS), RFC 6154 (SPECIAL-USE), RFC 8440 (MYRIGHTS)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from acl_imapd.access.listing import Listed, Listing
from acl_imapd.access.rights import Rights, format_with_obsolete
from acl_imapd.commands.mailboxes import parse_status_items, status_line
from acl_imapd.commands.pattern import matcher
from acl_imapd.commands.registry import LOGGED_IN, capability, command
from acl_imapd.commands.render import LINES_PER_CHUNK, list_attributes
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.responses import mailbox_name, untagged

capability(b"LIST-EXTENDED", "RFC 5258")
capability(b"LIST-STATUS", "RFC 5819")
capability(b"LIST-MYRIGHTS", "RFC 8440")
MAX_PATTERNS = 50


@dataclass(frozen=True, slots=True)
class List:
    reference: str
    patterns: tuple[str, ...]
    selects: frozenset[bytes]
    returns: frozenset[bytes]
    status: tuple[bytes, ...]
    extended: bool


_SELECTS = (b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE")
_RETURNS = (b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"MYRIGHTS", b"STATUS")


def parse_list(arguments: Arguments) -> List:
    """``SP ["(" select-opts ")" SP] mailbox SP mbox-or-pat [SP "RETURN" SP "(" … ")"]``.  RFC 5258 §6."""
    arguments.sp()
    extended = arguments.peek() == b"("
    selects: frozenset[bytes] = frozenset()
    if extended:
        selects = frozenset(arguments.parenthesised(lambda one: one.keyword(*_SELECTS)))
        arguments.sp()
    reference = arguments.list_mailbox()
    arguments.sp()
    if arguments.peek() == b"(":
        extended = True
        patterns = tuple(arguments.parenthesised(Arguments.list_mailbox))
        if not patterns or len(patterns) > MAX_PATTERNS:
            raise ParseError(f"LIST takes from one to {MAX_PATTERNS} patterns")
    else:
        patterns = (arguments.list_mailbox(),)
    returns: list[bytes] = []
    status: list[tuple[bytes, ...]] = []
    if arguments.try_sp():
        extended = True
        arguments.keyword(b"RETURN")
        arguments.sp()

        def option(one: Arguments) -> None:
            returns.append(one.keyword(*_RETURNS))
            if returns[-1] == b"STATUS":
                one.sp()
                status.append(parse_status_items(one))

        arguments.parenthesised(option)
    if b"RECURSIVEMATCH" in selects and not selects & {b"SUBSCRIBED", b"SPECIAL-USE"}:
        raise BadCommand("RECURSIVEMATCH goes with another option")  # RFC 5258 §3.1
    return List(reference, patterns, selects, frozenset(returns), status[-1] if status else (), extended)


@command(b"LIST", args=parse_list, states=LOGGED_IN, capability=(b"CHILDREN",), rfc="RFC 3501 §6.3.8")
async def list_(session: Session, cmd: List) -> None:
    """Tells the folders one can see, those of others and the shared ones too."""
    if cmd.patterns == ("",) and not cmd.extended:
        # RFC 3501 §6.3.8: asked for the delimiter, and the root of the reference.
        session.tell(b'LIST (\\Noselect) "/" ""')
        return
    if b"HIGHESTMODSEQ" in cmd.status:
        session.enable_condstore()
    listing = await session.user.listing()
    answer = _Answer(session, cmd, listing)
    await answer.run()
    await session.site.gate.audience.listed(session, listing, but=answer.has_told)


class _Answer:
    def __init__(self, session: Session, cmd: List, listing: Listing) -> None:
        self.session = session
        self.cmd = cmd
        self.listing = listing
        self.patterns = [cmd.reference + pattern for pattern in cmd.patterns]
        self._told: set[str] = set()
        criteria = [b'"%b"' % name for name in (b"SUBSCRIBED", b"SPECIAL-USE") if name in cmd.selects]
        self._childinfo = b' ("CHILDINFO" (%b))' % b" ".join(criteria)

    def has_told(self, name: str) -> bool:
        """True when the client knows of the name from this answer, or that there is none, since it is not in it."""
        return name in self._told if self.cmd.selects else self._matches(name)

    async def run(self) -> None:
        cmd, listing = self.cmd, self.listing
        key = (cmd.reference, cmd.patterns, cmd.returns, cmd.extended)
        if not cmd.selects and b"SUBSCRIBED" not in cmd.returns and not cmd.status:
            lines = listing.rendered.get(key)
            if lines is None:
                if len(listing.rendered) >= 8:
                    listing.rendered.clear()
                lines = listing.rendered[key] = [b"".join(self._lines(frozenset(), {}))]
            for line in lines:
                self.session.write(line)
            return
        subscribed: dict[str, Listed | None] = {}
        if b"SUBSCRIBED" in cmd.selects | cmd.returns:
            subscribed = await self.session.user.subscribed(listing)
        statuses: dict[int, object] = {}
        if cmd.status:
            wanted = [one for one in listing.entries if one.rights & Rights.r and self._matches(one.name)]
            if b"SUBSCRIBED" in cmd.selects:
                wanted = [one for one in wanted if one.name in subscribed]
            found = await self.session.user.statuses(wanted, recent=b"RECENT" in cmd.status)
            statuses = {int(key): value for key, value in found.items()}
        lines = list(self._lines(frozenset(subscribed), statuses))
        for start in range(0, len(lines), LINES_PER_CHUNK):
            self.session.write(b"".join(lines[start : start + LINES_PER_CHUNK]))
            await self.session.channel.drain()

    def _matches(self, name: str) -> bool:
        return any(matcher(pattern)(name) for pattern in self.patterns)

    def _lines(self, subscribed: frozenset[str], statuses: dict[int, object]) -> Iterable[bytes]:
        cmd, listing = self.cmd, self.listing
        tests = [matcher(pattern) for pattern in self.patterns]
        exact = [pattern for pattern in self.patterns if not set(pattern) & {"*", "%"}]
        if len(exact) == len(self.patterns):  # names asked for one by one need no walk over all
            entries = [listing.by_name[name] for name in dict.fromkeys(exact) if name in listing.by_name]
        else:
            entries = [one for one in listing.entries if any(test(one.name) for test in tests)]
        recursive = self._recursive(subscribed) if b"RECURSIVEMATCH" in cmd.selects else frozenset()
        told = self._told
        for one in entries:
            chosen = self._chosen(one, subscribed)
            if chosen or one.name in recursive:
                told.add(one.name)
                yield from self._entry(one, subscribed, statuses, childinfo=one.name in recursive)
        ending = [p for p in self.patterns if p.endswith("%") or not set(p) & {"*", "%"}]
        above = [matcher(p[:-1] if p.endswith("/") else p) for p in ending]
        for name in listing.hidden_parents:
            if not any(test(name) for test in above) or (cmd.selects and name not in recursive):
                continue
            yield self._parent(name, childinfo=name in recursive)
        if b"SUBSCRIBED" in cmd.selects and b"SPECIAL-USE" not in cmd.selects:  # what is gone has no use
            known = {*told, *listing.by_name, *listing.hidden_parents}
            for name in sorted((subscribed | recursive) - known):
                if self._matches(name):
                    yield self._gone(name, subscribed=name in subscribed, childinfo=name in recursive)

    def _chosen(self, one: Listed, subscribed: frozenset[str]) -> bool:
        selects = self.cmd.selects
        if b"SUBSCRIBED" in selects and one.name not in subscribed:
            return False
        return b"SPECIAL-USE" not in selects or one.use is not None

    def _recursive(self, subscribed: frozenset[str]) -> frozenset[str]:
        """Names above one that is chosen but not matched, be it gone.  RFC 5258 §3.5."""
        chosen: list[str] = [one.name for one in self.listing.entries if self._chosen(one, subscribed)]
        if b"SPECIAL-USE" not in self.cmd.selects:
            chosen += [name for name in subscribed if name not in self.listing.by_name]
        found: set[str] = set()
        for name in chosen:
            if not self._matches(name):
                above = name.rpartition("/")[0]
                while above and above not in found:
                    found.add(above)
                    above = above.rpartition("/")[0]
        return frozenset(found)

    def _entry(
        self, one: Listed, subscribed: frozenset[str], statuses: dict[int, object], *, childinfo: bool
    ) -> Iterable[bytes]:
        attributes = list_attributes(one, self.listing, subscribed=one.name in subscribed)
        line = b'LIST (%b) "/" %b' % (attributes, mailbox_name(one.name))
        yield untagged(line + (self._childinfo if childinfo else b""))
        if b"MYRIGHTS" in self.cmd.returns:
            yield untagged(b"MYRIGHTS %b %b" % (mailbox_name(one.name), format_with_obsolete(one.rights).encode()))
        if one.mailbox.id in statuses:
            yield untagged(status_line(self.session, one.name, self.cmd.status, statuses[one.mailbox.id]))

    def _gone(self, name: str, *, subscribed: bool, childinfo: bool) -> bytes:
        """A subscribed name without a mailbox, or a name above one.  RFC 5258 §3.4, §3.5."""
        flags = b"\\NonExistent"
        if subscribed:
            flags += b" \\Subscribed"
        if b"CHILDREN" in self.cmd.returns:
            flags += b" \\HasNoChildren"
        line = b'LIST (%b) "/" %b' % (flags, mailbox_name(name))
        return untagged(line + (self._childinfo if childinfo else b""))

    def _parent(self, name: str, *, childinfo: bool) -> bytes:
        # RFC 5258 §3: \NonExistent is for those who speak LIST-EXTENDED; it says \Noselect too.
        flags = b"\\NonExistent \\HasChildren" if self.cmd.extended else b"\\Noselect \\HasChildren"
        line = b'LIST (%b) "/" %b' % (flags, mailbox_name(name))
        return untagged(line + (self._childinfo if childinfo else b""))


@dataclass(frozen=True, slots=True)
class Lsub:
    reference: str
    pattern: str


def parse_lsub(arguments: Arguments) -> Lsub:
    """``SP mailbox SP list-mailbox``."""
    arguments.sp()
    reference = arguments.list_mailbox()
    arguments.sp()
    return Lsub(reference, arguments.list_mailbox())


@command(b"LSUB", args=parse_lsub, states=LOGGED_IN, rfc="RFC 3501 §6.3.9")
async def lsub(session: Session, cmd: Lsub) -> None:
    """Tells the folders one is subscribed to."""
    if not cmd.pattern:
        session.tell(b'LSUB (\\Noselect) "/" ""')
        return
    listing = await session.user.listing()
    if session.told is None:
        await session.site.gate.audience.listed(session, listing)
    found = await session.user.subscribed(listing)
    test = matcher(cmd.reference + cmd.pattern)
    for name, listed in sorted(found.items()):
        if listed is not None and test(name):
            session.tell(b'LSUB () "/" ' + mailbox_name(name))
    if cmd.pattern.endswith("%"):
        # RFC 3501 §6.3.9: foo/bar subscribed and foo not, "%" answers foo as \Noselect.
        above: set[str] = set()
        for name, listed in found.items():
            while listed is not None and "/" in name:
                name = name.rpartition("/")[0]
                above.add(name)
        for name in sorted(above - set(found)):
            if test(name):
                session.tell(b'LSUB (\\Noselect) "/" ' + mailbox_name(name))
