"""The command table.  A command is declared once: its states, the rights it needs on each mailbox it names, the
capability it brings.  Dispatch, CAPABILITY, the README's table and the test matrices all read it here."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from typing import Any, TypeVar

from acl_imapd.access.gate import Needs
from acl_imapd.access.rights import Rights
from acl_imapd.proto.arguments import Arguments


class State(Flag):
    """RFC 3501 §3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()


ANY_STATE = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
LOGGED_IN = State.AUTHENTICATED | State.SELECTED


@dataclass(frozen=True, slots=True)
class NoArguments:
    """What a command without arguments parses to."""


def no_arguments(_arguments: Arguments) -> NoArguments:
    """Nothing follows the name."""
    return NoArguments()


@dataclass(frozen=True, slots=True)
class Done:
    """The tagged OK; *hold_expunge*: this time no EXPUNGE before it, though the command allows it."""

    text: str = ""
    code: bytes | None = None
    hold_expunge: bool = False


Handler = Callable[..., Awaitable[Done | None]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: bytes
    parse: Callable[[Arguments], Any]
    handler: Handler
    states: State
    opens: Mapping[str, Needs]
    capability: tuple[bytes, ...]
    expunge_ok: bool
    changes_access: bool
    deselects: bool
    rfc: str
    summary: str


@dataclass(slots=True)
class Table:
    """Every command, and the capabilities that are no command's."""

    commands: dict[bytes, Command] = field(default_factory=dict)
    capabilities: dict[bytes, str] = field(default_factory=dict)
    tells: dict[bytes, Callable[[Any], bytes | None]] = field(
        default_factory=dict
    )  # how a capability reads in a session
    enables: dict[bytes, Callable[[Any], None]] = field(default_factory=dict)  # what ENABLE does to a session

    def takes_sequence_numbers(self, name: bytes) -> bool:
        """True for a command that has a form with UIDs beside it, and wants sequence numbers in this one."""
        return name != b"EXPUNGE" and b"UID " + name in self.commands

    def all_capabilities(self) -> list[tuple[bytes, str]]:
        """Capability and RFC, sorted, each once."""
        found = dict(self.capabilities)
        for command in self.commands.values():
            for name in command.capability:
                found.setdefault(name, command.rfc)
        return sorted(found.items())


TABLE = Table()


def command(
    name: bytes,
    *,
    args: Callable[[Arguments], Any] = no_arguments,
    states: State,
    opens: Mapping[str, Needs | Rights] | None = None,
    capability: tuple[bytes, ...] = (),
    expunge_ok: bool = True,
    changes_access: bool = False,
    deselects: bool = False,
    rfc: str,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the command *name*.

    *opens*: which fields of what *args* returns name mailboxes, and what is needed on them; the handler gets a view
    for each, by that name.  *expunge_ok*: EXPUNGE may be told before the tagged answer (RFC 3501 §7.4.1).
    *changes_access*: after it everybody's rights are looked at again before the answer goes out.  *deselects*: what was
    selected is closed even when the command then fails (RFC 3501 §6.3.1).
    """
    needs = {key: value if isinstance(value, Needs) else Needs(value) for key, value in (opens or {}).items()}

    def declare(handler: Handler) -> Handler:
        if name in TABLE.commands:
            raise ValueError(f"{name!r} is declared twice")
        parameters = list(inspect.signature(handler).parameters)
        if parameters[2:] != list(needs):
            raise ValueError(f"the handler of {name!r} takes {parameters[2:]}, but opens {list(needs)}")
        result = inspect.get_annotations(args, eval_str=True).get("return")
        if isinstance(result, type):
            known = {one.name for one in fields(result)}
            if not set(needs) <= known:
                raise ValueError(f"{name!r} opens what its arguments lack: {set(needs) - known}")
        summary = (inspect.getdoc(handler) or "").partition("\n")[0]
        TABLE.commands[name] = Command(
            name, args, handler, states, needs, capability, expunge_ok, changes_access, deselects, rfc, summary
        )
        return handler

    return declare


def capability(name: bytes, rfc: str, tell: Callable[[Any], bytes | None] | None = None) -> None:
    """Declare a capability that is a way of other commands.  *tell* says how it reads in a session; None: it is not
    told there."""
    TABLE.capabilities[name] = rfc
    if tell is not None:
        TABLE.tells[name] = tell


def enables(name: bytes) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Declare the decorated function as what ENABLE *name* does to a session.  RFC 5161."""

    def declare(switch: Callable[[Any], None]) -> Callable[[Any], None]:
        TABLE.enables[name] = switch
        return switch

    return declare
