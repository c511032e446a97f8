"""BINARY: parts without their encoding, and messages with NUL in them.  RFC 3516.

The items of FETCH are in fetch_items and fetch, what becomes of NUL in append and mail.transfer.
"""

from __future__ import annotations

from acl_imapd.commands.registry import capability

capability(b"BINARY", "RFC 3516")
