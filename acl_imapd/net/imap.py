"""IMAP over Twisted: bytes in, one command at a time, bytes out as the client takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from acl_imapd.commands.dispatch import dispatch
from acl_imapd.commands.login import capabilities
from acl_imapd.commands.session import Disconnected, Session, Site
from acl_imapd.net import tls
from acl_imapd.proto.engine import (
    CommandReceived,
    CommandRejected,
    ConnectionFatal,
    ContinuationNeeded,
    Engine,
    Limits,
    LineReceived,
)
from acl_imapd.proto.responses import tagged

MAX_WAITING_BYTES = 256 * 1024


@dataclass(slots=True)
class Timeouts:
    """Seconds; RFC 3501 §5.4: at least 30 minutes once logged in."""

    login_s: float = 60.0
    idle_s: float = 1860.0
    busy_s: float = 120.0


@implementer(IPushProducer, IHandshakeListener)
class ImapProtocol(Protocol):
    """One connection.  It is the Channel of its session, and the producer of its own output."""

    def __init__(self, site: Site, limits: Limits, timeouts: Timeouts, reactor: Any, tls: Any, *, secure: bool) -> None:
        self._engine = Engine(limits)
        self._reactor = reactor
        self._tls = tls
        self._timeouts = timeouts
        self._secure = secure
        self._greeted = False
        self._busy = False
        self._paused = False
        self._input_paused = False
        self._closing = False
        self._gone = False
        self._line: Deferred[bytes] | None = None
        self._drained: list[Deferred[None]] = []
        self._sleeping: Deferred[None] | None = None
        self._timeout: Any = None
        self._cutting_off: Any = None
        self._waking: Any = None
        self._upgrade = False
        self.peer = ""
        self.loopback = False
        self.session = Session(site, self)

    # -- the transport ------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Greets, but under TLS only after the handshake.  RFC 3501 §7.1.1."""
        transport: Any = self.transport
        peer = transport.getPeer()
        self.peer = getattr(peer, "host", "")
        self.loopback = self.peer.startswith("127.") or self.peer == "::1"
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self._timeout = self._reactor.callLater(self._timeouts.login_s, self._timed_out)
        if not self._secure:
            self._greet()

    def handshakeCompleted(self) -> None:
        """Greets under TLS from the first byte: which mechanisms there are hangs on what the handshake brought."""
        if not self._greeted:
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        self.write(b"* OK [CAPABILITY %b] acl-imapd ready\r\n" % capabilities(self.session))

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client; they wait while a command is carried out, or while it does not take its answers."""
        if self._closing:
            return
        self._engine.receive(data)
        if self._timeout is not None and self._timeout.active():
            seconds = self._timeouts.idle_s if self.session.access is not None else self._timeouts.login_s
            if self.session.access is not None:
                self._timeout.reset(seconds)
        self._pump()
        if (self._busy or self._paused) and self._engine.buffered_bytes > MAX_WAITING_BYTES and not self._input_paused:
            self._input_paused = True
            transport: Any = self.transport
            transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forgets the session, and ends whoever waits for this client."""
        self._gone = True
        self.session.end()
        for timer in (self._timeout, self._cutting_off, self._waking):
            if timer is not None and timer.active():
                timer.cancel()
        line, self._line = self._line, None
        if line is not None:
            line.errback(Disconnected())
        sleeping, self._sleeping = self._sleeping, None
        if sleeping is not None:
            sleeping.errback(Disconnected())
        self.resumeProducing()

    def _timed_out(self) -> None:
        self.session.bye("Too long without a word")

    # -- one command at a time ------------------------------------------------------------------------------------

    def _pump(self) -> None:
        while not self._gone and not self._closing:
            if self._paused or (self._busy and self._line is None):
                return
            event = self._engine.next_event()
            if event is None:
                if self._input_paused and not self._busy:
                    self._input_paused = False
                    transport: Any = self.transport
                    transport.resumeProducing()
                return
            if isinstance(event, LineReceived):
                line, self._line = self._line, None
                if line is not None:
                    line.callback(event.line)
            elif isinstance(event, CommandReceived):
                self._start(event)
            elif isinstance(event, ContinuationNeeded):
                self.write(b"+ Go on\r\n")
            elif isinstance(event, CommandRejected):
                error = event.error
                self.write(tagged(event.tag, error.status, error.text, error.code))
            elif isinstance(event, ConnectionFatal):
                code = b"[%b] " % event.code if event.code else b""
                self.write(b"* BYE %b%b\r\n" % (code, event.text))
                self.session.end()
                self.close()

    def _start(self, event: CommandReceived) -> None:
        self._busy = True

        def ended(result: object) -> None:
            self._busy = False
            if isinstance(result, Failure) and not isinstance(result.value, Disconnected):
                structlog.get_logger().error("session failed", failure=result.getTraceback())
                self.session.bye("The server made a mistake")
            if self._upgrade:
                self._upgrade = False
                self._begin_tls()
            if not synchronous:
                self._pump()

        synchronous = True
        ensureDeferred(dispatch(self.session, event)).addBoth(ended)
        synchronous = False

    # -- the session's Channel ------------------------------------------------------------------------------------

    @property
    def secure(self) -> bool:
        """True under TLS."""
        return self._secure

    def write(self, data: bytes) -> None:
        """Send *data*."""
        transport: Any = self.transport
        if not self._gone and not self._closing and transport is not None:
            transport.write(data)

    @property
    def waits_for_its_client(self) -> bool:
        """True while a command goes on only when the client has taken what was sent."""
        return bool(self._drained)

    def drain(self) -> Deferred[None]:
        """Fires when the client has taken what was sent, more or less; a slow one holds one chunk."""
        waiter: Deferred[None] = Deferred()
        if self._paused and not self._gone:
            self._drained.append(waiter)
        else:
            waiter.callback(None)
        return waiter

    def close(self) -> None:
        """End the connection once all is sent."""
        transport: Any = self.transport
        if not self._closing and transport is not None:
            self._closing = True
            line, self._line = self._line, None
            transport.unregisterProducer()
            transport.loseConnection()
            # Whoever does not take the rest is cut off.
            self._cutting_off = self._reactor.callLater(self._timeouts.busy_s, self.abort)
            self.resumeProducing()
            if line is not None:
                line.errback(Disconnected())

    def abort(self) -> None:
        """End the connection, whatever is left to send."""
        transport: Any = self.transport
        if not self._gone and transport is not None:
            transport.abortConnection()

    def start_tls(self) -> None:
        """Begin TLS once the command is answered."""
        self._upgrade = True

    def _begin_tls(self) -> None:
        # RFC 3501 §6.2.1: what came in clear behind STARTTLS must not be taken for protected.
        self._engine.drop_buffered()
        self._secure = True
        self._paused = False
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.startTLS(self._tls)
        transport.registerProducer(self, True)

    def read_line(self) -> Deferred[bytes]:
        """The next line that is no command."""
        self._engine.expect_line()
        waiter: Deferred[bytes] = Deferred()
        if self._gone or self._closing:
            waiter.errback(Disconnected())
            return waiter
        self._line = waiter
        self._reactor.callLater(0, self._pump)
        return waiter

    def authenticated(self) -> None:
        """Somebody has logged in."""
        self._engine.authenticated = True
        if self._timeout is not None and self._timeout.active():
            self._timeout.reset(self._timeouts.idle_s)

    def sleep(self, seconds: float) -> Deferred[None]:
        """Fires after that time, or fails when the client goes."""
        waiter: Deferred[None] = Deferred()
        if self._gone:
            waiter.errback(Disconnected())
            return waiter
        self._sleeping = waiter

        def woken() -> None:
            if self._sleeping is waiter:
                self._sleeping = None
                waiter.callback(None)

        self._waking = self._reactor.callLater(seconds, woken)
        return waiter

    def channel_binding(self, kind: bytes) -> bytes | None:
        """What identifies this TLS connection, by one of the kinds of RFC 5929 and RFC 9266."""
        transport: Any = self.transport
        if self._gone or not self._secure:
            return None
        return tls.channel_binding(transport.getHandle(), kind)

    def client_names(self) -> list[str]:
        """The names in the client's certificate, which has been verified."""
        transport: Any = self.transport
        if self._gone or not self._secure:
            return []
        return tls.client_names(transport.getHandle())

    # -- the transport's producer -----------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The client does not take what is sent."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It takes it again: the command that waits for that goes on, then those that wait behind it."""
        self._paused = False
        if self.session.access is not None and self._timeout is not None and self._timeout.active():
            self._timeout.reset(self._timeouts.idle_s)
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            waiter.callback(None)
        self._pump()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.resumeProducing()


class ImapFactory(Factory):
    """Makes the connections of one listening port."""

    noisy = False

    def __init__(self, make: Callable[[], ImapProtocol], *, limit: int) -> None:
        self._make = make
        self._limit = limit
        self.protocols: set[ImapProtocol] = set()
        self._deserted: list[Deferred[None]] = []

    def deserted(self) -> Deferred[None]:
        """Fires when there is no connection left."""
        waiter: Deferred[None] = Deferred()
        self._deserted.append(waiter)
        self._tell_deserted()
        return waiter

    def _tell_deserted(self) -> None:
        if not self.protocols:
            waiters, self._deserted = self._deserted, []
            for waiter in waiters:
                if not waiter.called:
                    waiter.callback(None)

    def buildProtocol(self, addr: object) -> ImapProtocol | None:
        """A connection, unless there are too many."""
        if len(self.protocols) >= self._limit:
            return None
        protocol = self._make()
        protocol.factory = self
        lost = protocol.connectionLost
        self.protocols.add(protocol)

        def forget(reason: Failure = connectionDone) -> None:
            self.protocols.discard(protocol)
            lost(reason)
            self._tell_deserted()

        protocol.connectionLost = forget  # type: ignore[method-assign]  # so that the protocol knows no factory
        return protocol
