"""What can go wrong for a client, each error knowing its tagged status and RFC 5530 response code.

Texts are shown to people by some clients (Thunderbird, mutt): write them for people, no internals.
"""

from __future__ import annotations


class ImapError(Exception):
    """A command that is answered NO or BAD; ``code`` goes into the brackets, None for no code."""

    status: bytes = b"NO"
    code: bytes | None = None

    def __init__(self, text: str, *, code: bytes | None = None) -> None:
        super().__init__(text)
        self.text = text
        if code is not None:
            self.code = code


class BadCommand(ImapError):
    """Syntax or state is wrong; nothing was done.  RFC 3501 §7.1.3."""

    status = b"BAD"


class UidRequired(BadCommand):
    """A sequence number from a client that said it has none.  RFC 9586."""

    code = b"UIDREQUIRED"


class ClientBug(ImapError):
    status = b"BAD"
    code = b"CLIENTBUG"


class NoPerm(ImapError):
    """The mailbox is visible, the right is missing.  RFC 5530 §3."""

    code = b"NOPERM"


class NonExistent(ImapError):
    """No such mailbox, or none this user may know of: the two are the same to a client."""

    code = b"NONEXISTENT"

    def __init__(self, text: str = "Mailbox does not exist", *, code: bytes | None = None) -> None:
        super().__init__(text, code=code)


class TryCreate(NonExistent):
    """APPEND, COPY or MOVE into a missing mailbox.  RFC 3501 §6.3.11."""

    code = b"TRYCREATE"


class AlreadyExists(ImapError):
    code = b"ALREADYEXISTS"


class Cannot(ImapError):
    """Not supported for this name or mailbox whatever the rights.  RFC 5530 §3."""

    code = b"CANNOT"


class HasChildren(ImapError):
    code = b"HASCHILDREN"


class InUse(ImapError):
    code = b"INUSE"


class Limit(ImapError):
    code = b"LIMIT"


class TooBig(ImapError):
    code = b"TOOBIG"


class UseAttr(ImapError):
    """A special use that cannot be given.  RFC 6154 §3."""

    code = b"USEATTR"


class UnknownCte(ImapError):
    """A part whose content transfer encoding is not known, or cannot be changed.  RFC 3516."""

    code = b"UNKNOWN-CTE"


class ExpungeIssued(ImapError):
    code = b"EXPUNGEISSUED"


class BadCharset(ImapError):
    def __init__(self, text: str = "Use US-ASCII or UTF-8 as CHARSET") -> None:
        super().__init__(text, code=b"BADCHARSET (US-ASCII UTF-8)")


class AuthenticationFailed(ImapError):
    code = b"AUTHENTICATIONFAILED"


class AuthorizationFailed(ImapError):
    code = b"AUTHORIZATIONFAILED"


class PrivacyRequired(ImapError):
    code = b"PRIVACYREQUIRED"


class Unavailable(ImapError):
    code = b"UNAVAILABLE"


class Refused(Exception):
    """An administrator's request that is not carried out; the text says why and what to do."""
