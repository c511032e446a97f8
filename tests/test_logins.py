"""Passwords that are remembered, and patience with whoever guesses."""

from __future__ import annotations

import pytest

from acl_imapd.auth.passwords import hash_password
from acl_imapd.auth.throttle import FREE_FAILURES, MAX_DELAY_S, MAX_KEYS, Throttle
from acl_imapd.storage import accounts

from .conftest import ACTOR


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def throttle(clock):
    return Throttle(lambda: clock[0])


def refused(world, client, line="LOGIN bob pass"):
    """The answer to a login that fails, which is held back."""
    before = client.number
    client.number += 1
    tag = f"a{client.number}".encode()
    client.send(tag + b" " + line.encode() + b"\r\n")
    calls = len(world.reactor.getDelayedCalls())
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) > calls or tag in client.transport.value())
    assert client.number == before + 1
    # What the clock waits for may be another session that ends, so go on until there is an answer.
    world.reactor.turn(lambda: world.reactor.advance(MAX_DELAY_S) or tag in client.transport.value())
    return client.take()


def test_a_changed_password_holds_at_once_though_the_old_one_is_remembered(world):
    world.client("bob")
    assert world.client("bob").ok("NOOP")

    world.database.write_now(accounts.set_password_hash, ACTOR, "bob", hash_password("new"))

    assert "NO [AUTHENTICATIONFAILED]" in refused(world, world.client())
    assert world.client().cmd("LOGIN bob new").tagged.startswith("OK")


def test_a_disabled_or_removed_user_is_out_at_once_though_the_password_is_remembered(world):
    world.client("bob")
    world.client("cat")

    world.database.write_now(accounts.set_disabled, ACTOR, "bob", True)
    world.database.write_now(accounts.remove_user, ACTOR, "cat")

    for name in ("bob", "cat"):
        assert "NO [AUTHENTICATIONFAILED]" in refused(world, world.client(), f"LOGIN {name} pass")
    world.database.write_now(accounts.set_disabled, ACTOR, "bob", False)
    world.client("bob")


def test_a_renamed_users_old_name_does_not_let_anybody_in(world):
    world.client("bob")

    world.database.write_now(accounts.rename_user, ACTOR, "bob", "rob")

    assert "NO [AUTHENTICATIONFAILED]" in refused(world, world.client())
    world.client("rob")


def test_each_failure_costs_more_up_to_a_limit(throttle):
    delays = []
    for _ in range(10):
        throttle.failed("192.0.2.1", "bob")
        delays.append(throttle.delay_s("192.0.2.1", "bob"))

    assert delays[:FREE_FAILURES] == [1.0] * FREE_FAILURES
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_S


def test_a_thousand_failures_cost_no_less(throttle):
    """Nor do they end in an error, which would let the guesser off."""
    for _ in range(3000):
        throttle.failed("192.0.2.1", "bob")

    assert throttle.delay_s("192.0.2.1", "bob") == MAX_DELAY_S


def test_failures_count_for_the_address_and_for_the_user(throttle):
    for number in range(8):
        throttle.failed("192.0.2.1", f"user{number}")
        throttle.failed(f"198.51.100.{number}", "bob")

    assert throttle.delay_s("192.0.2.1", "somebody") == MAX_DELAY_S
    assert throttle.delay_s("203.0.113.9", "bob") == MAX_DELAY_S
    assert throttle.delay_s("203.0.113.9", "somebody") == 0


def test_a_success_forgives_the_user_and_not_the_address(throttle):
    """Or whoever has an account here could guess others' between two logins of his own."""
    for _ in range(8):
        throttle.failed("192.0.2.1", "bob")

    throttle.succeeded("192.0.2.1", "bob")

    assert throttle.delay_s("203.0.113.9", "bob") == 0
    assert throttle.delay_s("192.0.2.1", "ann") == MAX_DELAY_S


def test_failures_are_forgotten_after_a_while(throttle, clock):
    throttle.failed("192.0.2.1", "bob")

    clock[0] += 601

    assert throttle.delay_s("192.0.2.1", "bob") == 0


def test_what_guessers_leave_in_memory_is_bounded(throttle):
    """Also by names longer than any there can be."""
    for number in range(MAX_KEYS + 10):
        throttle.failed("192.0.2.1", f"{number}{'x' * 300}")

    kept = throttle.keys()
    assert len(kept) <= MAX_KEYS
    assert max(len(name) for _, name in kept) <= 255


def test_right_logins_do_not_wait_for_a_guesser(world):
    """The answer to the guess is held back; who knows the password comes in meanwhile."""
    guesser = world.client()
    guesser.send(b"x LOGIN bob wrong\r\n")
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) > 1)

    world.client("bob")

    assert b"x NO" not in guesser.transport.value()


def test_a_client_that_goes_while_it_waits_leaves_nothing_behind(world):
    from twisted.internet.protocol import connectionDone

    guesser = world.client()
    guesser.send(b"x LOGIN bob wrong\r\ny LOGIN bob wrong\r\n")
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) > 1)

    guesser.protocol.connectionLost(connectionDone)
    world.reactor.advance(MAX_DELAY_S)

    assert guesser.take() == ""
