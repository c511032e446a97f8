"""SASLprep: the form in which names and passwords are compared.  RFC 4013, a profile of stringprep (RFC 3454)."""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


def saslprep(text: str) -> str:
    """*text* prepared as a stored string.  ValueError where it has what a password or a name must not have."""
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 §2.1, §2.2: other spaces are a space, what is commonly mapped to nothing goes, then NFKC.
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for char in prepared:
        if stringprep.in_table_a1(char) or any(table(char) for table in _PROHIBITED):
            raise ValueError("it has a character that is not allowed")
    # RFC 3454 §6: right-to-left text has no left-to-right letters, and begins and ends as such.
    if any(stringprep.in_table_d1(char) for char in prepared):
        if any(stringprep.in_table_d2(char) for char in prepared):
            raise ValueError("it mixes directions of writing")
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            raise ValueError("it mixes directions of writing")
    return prepared
