"""How much may be sent: APPENDLIMIT (RFC 7889), LITERAL- (RFC 7888)."""

from __future__ import annotations

import pytest


def test_the_limit_is_told_and_holds(make_world):
    """RFC 7889 §2 (a), §3.1, §3.2, §4: by CAPABILITY before and after login, by STATUS and LIST."""
    world = make_world(limits={"max_append_bytes": 1000})
    bob = world.client("bob")

    assert "APPENDLIMIT=1000 " in world.client().greeting
    assert "APPENDLIMIT=1000 " in bob.ok("CAPABILITY")
    assert bob.ok("STATUS INBOX (APPENDLIMIT)").untagged == ["* STATUS INBOX (APPENDLIMIT 1000)"]
    assert "* STATUS INBOX (APPENDLIMIT 1000)" in bob.ok('LIST "" INBOX RETURN (STATUS (APPENDLIMIT))').untagged
    assert bob.append("INBOX", "x" * 1000).tagged.startswith("OK")
    assert bob.append("INBOX", "x" * 1001).tagged.startswith("NO [TOOBIG]")


@pytest.mark.parametrize("minus", [False, True])
def test_one_kind_of_literal_is_told(make_world, minus):
    """RFC 7888 §5."""
    world = make_world(limits={"literal_minus": minus})
    bob = world.client("bob")

    for told in (world.client().greeting, bob.ok("CAPABILITY")):
        assert ("LITERAL-" in told, "LITERAL+" in told) == (minus, not minus)


def test_a_long_literal_must_be_waited_for_with_literal_minus(make_world):
    """RFC 7888 §5: it is read and thrown away, and the connection stays in step."""
    world = make_world(limits={"literal_minus": True})
    bob = world.client("bob")

    assert bob.append("INBOX", "x" * 4096).tagged.startswith("OK")
    assert bob.append("INBOX", "x" * 4097).tagged.startswith("BAD [TOOBIG]")
    bob.send(b"w APPEND INBOX {5000}\r\n")
    assert bob.take() == "+ Go on\r\n"
    bob.send(b"y" * 5000 + b"\r\n")
    world.reactor.turn(lambda: b"w OK" in bob.transport.value())
    bob.take()
    assert "MESSAGES 2" in bob.ok("STATUS INBOX (MESSAGES)")
