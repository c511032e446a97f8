"""What a connection holds in memory, and lets go of."""

from __future__ import annotations


def test_who_does_not_take_the_answers_is_not_answered_further(world):
    """Promise 6: commands wait while the client reads nothing, and are carried out in order once it does."""
    bob = world.client("bob")
    bob.protocol.pauseProducing()

    bob.send(b"".join(b'x%d LIST "" *\r\n' % number for number in range(50)))
    assert bob.take() == ""

    bob.protocol.resumeProducing()
    world.reactor.turn(lambda: b"x49 OK" in bob.transport.value())
    tagged = [line.split()[0] for line in bob.take().lines if not line.startswith("*")]
    assert tagged == [f"x{number}" for number in range(50)]


def test_who_sends_on_without_reading_is_not_read_from(world):
    bob = world.client("bob")
    bob.protocol.pauseProducing()

    bob.send(b"x NOOP\r\n" * 50_000)

    assert bob.transport.producerState == "paused"
    bob.protocol.resumeProducing()
    world.reactor.turn(lambda: bob.transport.value().count(b"x OK") == 50_000)
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
