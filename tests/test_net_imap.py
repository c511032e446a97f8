"""What a connection holds in memory, and lets go of."""

from __future__ import annotations

import threading

import pytest

from acl_imapd.access import view
from acl_imapd.mail.mime import parsed


def test_who_does_not_take_the_answers_is_not_answered_further(world):
    """Promise 6: commands wait while the client reads nothing, and are carried out in order once it does."""
    client = world.client()
    client.protocol.pauseProducing()

    client.send(b"".join(b"x%d CAPABILITY\r\n" % number for number in range(50)))
    assert client.take() == ""

    client.protocol.resumeProducing()
    tagged = [line.split()[0] for line in client.take().lines if not line.startswith("*")]
    assert tagged == [f"x{number}" for number in range(50)]


def test_who_sends_on_without_reading_is_not_read_from(world):
    bob = world.client("bob")
    bob.protocol.pauseProducing()

    bob.send((b"x" * 200 + b" NOOP\r\n") * 2_000)

    assert bob.transport.producerState == "paused"
    bob.protocol.resumeProducing()
    world.reactor.turn(lambda: bob.transport.value().count(b"x OK") == 2_000)
    assert bob.transport.producerState == "producing"


def test_what_is_sent_after_bye_is_dropped(world):
    bob = world.client("bob")
    bob.cmd("LOGOUT")

    for _ in range(10):
        bob.send(b"x" * 100_000)

    assert bob.protocol._engine.buffered_bytes == 0


def test_no_timer_outlives_its_connection(world):
    """Or each short connection would be held for minutes."""
    from twisted.internet.protocol import connectionDone

    before = len(world.reactor.getDelayedCalls())
    leaving, refused = world.client("bob"), world.client()
    leaving.cmd("LOGOUT")
    refused.send(b"x LOGIN bob wrong\r\n")
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) >= before + 3)

    for client in (leaving, refused):
        client.protocol.connectionLost(connectionDone)

    assert len(world.reactor.getDelayedCalls()) == before


@pytest.mark.parametrize(("size", "elsewhere"), [(2**20, True), (1000, False)])
def test_a_long_message_is_parsed_outside_the_reactors_thread(world, monkeypatch, size, elsewhere):
    """Or everybody would wait for it; what the same client says behind it still comes after."""
    threads = []

    def spy(message):
        threads.append(threading.current_thread())
        return parsed(message)

    monkeypatch.setattr(view, "parsed", spy)
    bob = world.client("bob")

    bob.send(b"x APPEND INBOX {%d+}\r\n%b\r\ny STATUS INBOX (MESSAGES)\r\n" % (size, b"m" * size))
    world.reactor.turn(lambda: b"y OK" in bob.transport.value())

    told = bob.take()
    assert told.index("x OK") < told.index("MESSAGES 1")
    assert [thread is not threading.main_thread() for thread in threads] == [elsewhere]
