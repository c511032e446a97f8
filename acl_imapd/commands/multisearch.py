"""ESEARCH: a search of many mailboxes.  RFC 7377."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from acl_imapd.access.gate import Needs
from acl_imapd.access.listing import Listed
from acl_imapd.access.rights import Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.registry import LOGGED_IN, Done, State, command
from acl_imapd.commands.search import RETURN_OPTIONS, Answer, Finder, carry_out, of_interest
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, Limit, NonExistent, NoPerm, UidRequired
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto import search_keys as keys
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.mailbox_filter import MailboxFilter, parse_mailbox_filter
from acl_imapd.ranges import EMPTY

MAX_MAILBOXES = 1000
SELECTED = MailboxFilter(b"SELECTED")


@dataclass(frozen=True, slots=True)
class MultiSearch:
    sources: tuple[MailboxFilter, ...]
    search: keys.SearchCommand

    @property
    def only_selected(self) -> bool:
        return set(self.sources) == {SELECTED}


def parse_esearch(arguments: Arguments) -> MultiSearch:
    """``[SP "IN" SP "(" filter-mailboxes *(SP filter-mailboxes) ")"] [SP search-return-opts] SP search-program``."""
    arguments.sp()
    sources: tuple[MailboxFilter, ...] = (SELECTED,)
    if arguments.try_keyword(b"IN") is not None:
        arguments.sp()
        sources = tuple(dict.fromkeys(arguments.parenthesised(parse_mailbox_filter)))
        if not sources:
            raise ParseError("Say which mailboxes to search")
    search = keys.parse_search(arguments)
    if search.returns is None:
        search = keys.SearchCommand(search.key, frozenset({b"ALL"}), search.partial, search.refused)
    return MultiSearch(sources, search)


@command(b"ESEARCH", args=parse_esearch, states=LOGGED_IN, capability=(b"MULTISEARCH",), rfc="RFC 7377")
async def esearch(session: Session, cmd: MultiSearch) -> Done:
    """Finds messages in many mailboxes, told by UID."""
    returns = cmd.search.returns or frozenset()
    if SELECTED in cmd.sources and session.state is not State.SELECTED:
        raise BadCommand("Select a mailbox first")
    if not cmd.only_selected and b"SAVE" in returns:
        raise BadCommand("SAVE goes with the selected mailbox alone")
    if b"UPDATE" in returns and SELECTED not in cmd.sources:
        raise BadCommand("UPDATE goes with the selected mailbox")
    if session.uidonly and keys.names_numbers(cmd.search.key):
        raise UidRequired("Say UID before the numbers: you have enabled UIDONLY")
    for name in returns & RETURN_OPTIONS.keys():
        RETURN_OPTIONS[name].before(session, cmd.search)
    if cmd.search.refused is not None and not cmd.only_selected:
        raise cmd.search.refused
    if keys.asks(cmd.search.key, keys.ModSeq):
        session.enable_condstore()
    done: set[int] = set()
    if SELECTED in cmd.sources:
        view, selected = opened(session)
        done.add(view.mailbox.id)
        mailbox = (view.name, selected.index.uidvalidity)
        answer = await carry_out(session, cmd.search, uid=True, mailbox=mailbox)
        if answer is not None:
            _tell(session, view, selected, answer, cmd.search)
    views = [view for view in await _views(session, cmd.sources) if view.mailbox.id not in done]
    if len(views) > MAX_MAILBOXES:
        raise Limit(f"That is {len(views)} mailboxes; at most {MAX_MAILBOXES} are searched at once")
    for view in views:
        try:
            await _search_in(session, view, cmd.search)
        except (NoPerm, NonExistent):
            continue  # the right went, or the mailbox, while others were searched
        if session.closed:
            break
    return Done("Searched", hold_expunge=keys.names_numbers(cmd.search.key))


def _tell(session: Session, view: MailboxView, selected: Selected, answer: Answer, search: keys.SearchCommand) -> None:
    """Send what was found; nothing where nothing was.  RFC 7377 §2.1."""
    if answer.numbers:
        answer.tell_esearch(session, search, uid=True, mailbox=(view.name, selected.index.uidvalidity))


async def _search_in(session: Session, view: MailboxView, search: keys.SearchCommand) -> None:
    index = await view.index()
    try:
        # As it is now, with nobody told of it: nothing loses its \Recent.
        selected = Selected(index, session.user_id, own_seen=view.own_seen, read_only=True)
        finder = Finder(session, view, selected, saved=EMPTY)
        found = await finder.run(search.key)
        chosen = of_interest(found, search)
        modseq = finder.highest(chosen) if keys.asks(search.key, keys.ModSeq) and chosen else 0
        answer = Answer([selected.known[at] for at in found], modseq, tuple(finder.scores(found)))
        _tell(session, view, selected, answer, search)
        await session.channel.drain()
    finally:
        session.site.gate.indexes.close(index)


# -- which ----------------------------------------------------------------------------------------------------------


async def _views(session: Session, sources: Iterable[MailboxFilter]) -> list[MailboxView]:
    """A view of each mailbox meant that may be read, once.  What is named needs r alone; what is not, l as well."""
    access = session.user
    listing = await access.listing()
    asked = MailboxFilter(b"SUBSCRIBED") in sources
    subscribed = frozenset(await access.subscribed(listing)) if asked else frozenset()
    found: dict[int, MailboxView] = {}
    for source in sources:
        for name in source.names:
            if name not in listing.by_name:
                try:
                    view = await access.open(name, Needs(Rights.r))
                except (NoPerm, NonExistent):
                    continue
                found.setdefault(view.mailbox.id, view)
        for one in listing.entries:
            if _meant(source, one, personal=access.is_personal(one.name), subscribed=one.name in subscribed):
                view_of = access.view_listed(one)
                if view_of is not None:
                    found.setdefault(one.mailbox.id, view_of)
    return list(found.values())


def _meant(source: MailboxFilter, one: Listed, *, personal: bool, subscribed: bool) -> bool:
    if source.kind == b"PERSONAL":
        return personal
    if source.kind == b"INBOXES":  # RFC 5465 §6.4: where mail is delivered to
        return one.name == "INBOX"
    if source.kind == b"SUBSCRIBED":
        return subscribed
    if one.name in source.names:
        return True
    if source.kind == b"SUBTREE":
        return any(one.name.startswith(name + "/") for name in source.names)
    return source.kind == b"SUBTREE-ONE" and one.name.rpartition("/")[0] in source.names
