"""The README's table of extensions, from the command table."""

from __future__ import annotations

from acl_imapd.commands import dispatch
from acl_imapd.commands.registry import TABLE


def extension_table() -> str:
    """Markdown: each capability, the commands it brings, where it is specified."""
    assert dispatch  # importing it fills the table
    lines = ["| capability | commands | specification |", "|---|---|---|"]
    for name, rfc in TABLE.all_capabilities():
        brings = ", ".join(
            sorted(
                one.name.decode() for one in TABLE.commands.values() if name in one.capability and name != b"IMAP4rev1"
            )
        )
        if name == b"IMAP4rev1":
            brings = "all of RFC 3501"
        lines.append(f"| `{name.decode()}` | {brings} | {rfc} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(extension_table())
