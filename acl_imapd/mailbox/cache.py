"""The indexes of a process: opened once, shared, brought up to date together, forgotten when long unused."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from acl_imapd.mailbox.index import MailboxIndex
from acl_imapd.notify.coalesce import Coalesced
from acl_imapd.notify.hub import Hub
from acl_imapd.storage.mailboxes import read_highest_modseqs
from acl_imapd.storage.messages import Changes, read_changes
from acl_imapd.storage.reactor import AsyncDatabase
from acl_imapd.types import MailboxId

MAX_UNUSED_INDEXES = 64
MAX_UNUSED_MESSAGES = 1_000_000


class Indexes:
    """Open :class:`MailboxIndex` objects by mailbox."""

    def __init__(self, database: AsyncDatabase, hub: Hub) -> None:
        self._database = database
        self.hub = hub
        self._indexes: OrderedDict[MailboxId, MailboxIndex] = OrderedDict()
        self._refreshes: dict[MailboxId, Coalesced] = {}

    def loaded(self, mailbox_id: MailboxId) -> MailboxIndex | None:
        """The index if there is one, as it was last brought up to date."""
        return self._indexes.get(mailbox_id)

    def in_use(self) -> list[MailboxId]:
        """The mailboxes that some session has selected."""
        return [mailbox_id for mailbox_id, index in self._indexes.items() if index.sessions]

    async def open(self, mailbox_id: MailboxId) -> MailboxIndex | None:
        """The index, up to date, held for one session until :meth:`close`; None if the mailbox is gone."""
        await self.refresh(mailbox_id, load=True)
        index = self._indexes.get(mailbox_id)
        if index is not None:
            index.sessions += 1
            self._indexes.move_to_end(mailbox_id)
        return index

    def close(self, index: MailboxIndex) -> None:
        """Give up what :meth:`open` gave."""
        index.sessions -= 1
        if not index.sessions:
            self._evict()

    async def refresh(self, mailbox_id: MailboxId, *, load: bool = False) -> None:
        """After this the index, if there is one, is no older than the call.  With *load* there is one."""
        if not load and mailbox_id not in self._indexes:
            return
        refresh = self._refreshes.get(mailbox_id)
        if refresh is None:
            refresh = self._refreshes[mailbox_id] = Coalesced(lambda: self._catch_up(mailbox_id))
        await refresh.request()

    async def refresh_in_use(self) -> None:
        """Look which selected mailboxes some other process changed, and catch up with those."""
        ids = self.in_use()
        if not ids:
            return
        modseqs = await self._database.read(read_highest_modseqs, ids)
        for mailbox_id in ids:
            index = self._indexes.get(mailbox_id)
            if index is not None and modseqs.get(mailbox_id, 0) > index.highest_modseq:
                await self.refresh(mailbox_id)

    def apply(self, changes: Changes | None) -> None:
        """Bring in what a unit of work read of its own changes, and wake who listens."""
        if changes is None:
            return
        index = self._indexes.get(changes.mailbox_id)
        if index is None or changes.since > index.highest_modseq:
            return
        if index.apply(changes):
            self.hub.publish(changes.mailbox_id)

    async def _catch_up(self, mailbox_id: MailboxId) -> None:
        index = self._indexes.get(mailbox_id)
        since = index.highest_modseq if index is not None else 0
        changes: Any = await self._database.read(read_changes, mailbox_id, since)
        index = self._indexes.get(mailbox_id)
        if changes is None:
            if index is not None and not index.sessions:
                del self._indexes[mailbox_id]
                self._refreshes.pop(mailbox_id, None)
        elif index is not None:
            self.apply(changes)
        elif since == 0:
            self._indexes[mailbox_id] = MailboxIndex(changes)

    def _evict(self) -> None:
        unused = [(key, index) for key, index in self._indexes.items() if not index.sessions]
        messages = sum(len(index.uids) for _, index in unused)
        count = len(unused)
        for mailbox_id, index in unused:
            if count <= MAX_UNUSED_INDEXES and messages <= MAX_UNUSED_MESSAGES:
                return
            del self._indexes[mailbox_id]
            self._refreshes.pop(mailbox_id, None)
            count -= 1
            messages -= len(index.uids)
