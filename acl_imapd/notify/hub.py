"""Who wants to hear that something changed.  A wake-up is a hint: whoever gets it looks for himself."""

from __future__ import annotations

from collections.abc import Callable

from acl_imapd.types import MailboxId

Listener = Callable[[], None]


class Hub:
    """Listeners per mailbox.  Publishing nothing, or twice, is harmless."""

    def __init__(self) -> None:
        self._listeners: dict[MailboxId, set[Listener]] = {}

    def listen(self, mailbox_id: MailboxId, listener: Listener) -> None:
        """Call *listener* at every change of the mailbox, until :meth:`forget`."""
        self._listeners.setdefault(mailbox_id, set()).add(listener)

    def forget(self, mailbox_id: MailboxId, listener: Listener) -> None:
        """Undo :meth:`listen`; harmless where it was not called."""
        listeners = self._listeners.get(mailbox_id)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[mailbox_id]

    def publish(self, mailbox_id: MailboxId) -> None:
        """Tell everybody who listens to the mailbox.  After the commit, or a listener reads the old row."""
        for listener in tuple(self._listeners.get(mailbox_id, ())):
            listener()
