"""The running server: its ports, its threads, its wake-ups, its signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, maybeDeferred, succeed
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from acl_imapd.access.audience import Audience
from acl_imapd.access.directory import Directory
from acl_imapd.access.gate import Gate
from acl_imapd.access.last_used import LastUsed
from acl_imapd.access.logins import Logins
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.auth.oauth import OauthError, TokenRules, Tokens, check_rules
from acl_imapd.auth.passwords import Passwords
from acl_imapd.auth.throttle import Throttle
from acl_imapd.commands.session import Site
from acl_imapd.config import Settings
from acl_imapd.mailbox.cache import Indexes
from acl_imapd.net.imap import ImapFactory, ImapProtocol, Timeouts
from acl_imapd.net.tls import ServerTls, TlsError
from acl_imapd.notify.hub import Hub
from acl_imapd.notify.watch import PostgresqlWatch, SqliteWatch
from acl_imapd.proto.engine import Limits
from acl_imapd.storage import expiry, migrate
from acl_imapd.storage.database import Database
from acl_imapd.storage.reactor import AsyncDatabase
from acl_imapd.types import MailboxId

HASHING_THREADS = 2
ASKING_THREADS = 2
SWEEP_EVERY_S = 60.0
RETRY_S = 1.0
# Between two attempts to listen again: twice as long each time.
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
GOODBYE_S = 2.0


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


def open_database(settings: Settings) -> Database:
    """The site's database, with the schema the program needs.  StartError else."""
    blob_dir = Path(settings.database.blob_dir) if settings.database.blob_dir else None
    database = Database.open(
        settings.database.url, blob_dir=blob_dir, inline_limit_bytes=settings.database.inline_limit_bytes
    )
    if database.kind == "sqlite" and not Path(database.engine.url.database or "").exists():
        raise StartError(f"There is no database {settings.database.url}; `acl-imapd-admin db upgrade` makes it")
    found = migrate.current(database)
    if found != migrate.head():
        database.close()
        raise StartError(
            f"The database has schema {found or 'none'}, the program needs {migrate.head()}; "
            "run `acl-imapd-admin db upgrade`"
        )
    return database


def _tls(settings: Settings) -> ServerTls | None:
    tls = settings.tls
    if not tls.certificate:
        return None
    return ServerTls(Path(tls.certificate), Path(tls.key), Path(tls.client_ca) if tls.client_ca else None)


class ReactorClock:
    """The time of day, and the reactor's timers."""

    def __init__(self, reactor: Any, now: Callable[[], float]) -> None:
        self._reactor = reactor
        self.now = now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Have *call* called; what comes back calls it off."""
        cancel: Callable[[], None] = self._reactor.callLater(seconds, call).cancel
        return cancel


class Service:
    """Everything one process shares.  Built on a reactor that may be a test's."""

    def __init__(self, settings: Settings, database: Database, reactor: Any) -> None:
        self.settings = settings
        self.database = database
        self._reactor = reactor
        self._hub = Hub()
        asynchronous = self._database = AsyncDatabase(database, reactor)
        self._watch: Any
        if database.kind == "sqlite":
            self._watch = SqliteWatch(database)
        else:
            self._watch = PostgresqlWatch(database, woken=self._woken, lost=self._listening_ended)
        clock = ReactorClock(reactor, database.now)
        self.directory = Directory(
            asynchronous,
            self._watch,
            clock,
            namespaces=Namespaces(settings.namespaces.other_users, settings.namespaces.shared),
            allow_anyone=settings.acl.allow_anyone,
        )
        self.indexes = Indexes(asynchronous, self._hub)
        self.last_used = LastUsed(asynchronous, clock)
        self.audience = Audience(self.directory, clock, announces=settings.imap.announce_folders)
        self._hashing = ThreadPool(0, HASHING_THREADS, "argon2")
        self._hashing.start()
        self.tls = _tls(settings)
        self._asking: ThreadPool | None = None
        self.site = Site(
            gate=Gate(
                asynchronous,
                self.directory,
                self.indexes,
                self.last_used,
                self.audience,
                auto_subscribe=settings.acl.auto_subscribe,
            ),
            logins=Logins(
                asynchronous,
                Passwords(self._in_thread, reactor.seconds, cache_s=settings.auth.cache_s),
                self._in_thread,
                database.now,
            ),
            tokens=self._tokens(settings, database.now),
            throttle=Throttle(reactor.seconds, first_delay_s=settings.auth.failure_delay_s),
            plaintext_on_loopback=settings.auth.plaintext_on_loopback,
            has_tls=self.tls is not None,
            max_connections_per_user=settings.imap.max_connections_per_user,
            connections={},
            limits=Limits(**msgspec.structs.asdict(settings.limits)),
        )
        self.factories: list[ImapFactory] = []
        self._ports: list[Any] = []
        self._poll = LoopingCall(self._look)
        self._poll.clock = reactor
        self._looking = False
        self._stopped = False
        self._retry: Any = None
        self._listen: Any = None
        self._sweep = LoopingCall(self._remove_ended)
        self._sweep.clock = reactor

    def _in_thread(self, fn: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._hashing, fn, *args)

    def _tokens(self, settings: Settings, now: Callable[[], float]) -> Tokens | None:
        """What tells whose bearer tokens are.  Its threads are its own: one may wait for keys from elsewhere."""
        if not settings.oauth.jwks:
            return None
        rules = msgspec.convert(msgspec.to_builtins(settings.oauth), TokenRules)
        check_rules(rules)
        asking = self._asking = ThreadPool(0, ASKING_THREADS, "oauth")
        asking.start()
        return Tokens(rules, lambda fn, *args: deferToThreadPool(self._reactor, asking, fn, *args), now)

    # -- wake-ups -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Every 50 ms on SQLite: has another process committed something?"""
        if not self._looking and self._watch.anything_new():
            self._look_at_everything()

    def _look_at_everything(self) -> None:
        self._looking = True
        ensureDeferred(self._catch_up()).addCallbacks(self._looked, self._look_later)

    def _looked(self, _result: object) -> None:
        self._looking = False

    def _look_later(self, failure: Failure) -> None:
        """What could not be read now is read once the database answers again."""
        if not self._stopped and not (self._retry is not None and self._retry.active()):
            structlog.get_logger().error("catching up failed, and is tried again", reason=str(failure.value))
            self._retry = self._reactor.callLater(RETRY_S, self._look_at_everything)

    async def _catch_up(self) -> None:
        await self.directory.refresh()
        await self.indexes.refresh_in_use()

    def _woken(self, payload: str) -> None:
        kind, _, ident = payload.partition(":")
        if kind == "e":
            ensureDeferred(self.directory.refresh()).addErrback(self._look_later)
        elif kind == "m" and ident.isdecimal():
            ensureDeferred(self._mailbox_changed(MailboxId(int(ident)))).addErrback(self._look_later)

    async def _mailbox_changed(self, mailbox_id: MailboxId) -> None:
        if mailbox_id in self.indexes.in_use():
            await self.directory.refresh()  # first, or somebody who has lost the folder hears what came after
        await self.indexes.refresh(mailbox_id)

    def _listening_ended(self, reason: str) -> None:
        """The connection that listens is gone: sessions are told by nobody else, so another one must be there soon."""
        if not self._stopped:
            structlog.get_logger().error("not told of changes for now", reason=reason)
            self._listen_in(FIRST_WAIT_S)

    def _listen_in(self, wait_s: float) -> None:
        if not self._stopped:
            self._listen = self._reactor.callLater(wait_s, self._listen_again, wait_s)

    def _listen_again(self, waited_s: float) -> None:
        self._in_thread(self._watch.connect).addCallbacks(
            self._listening, lambda _failure: self._listen_in(min(waited_s * 2, LONGEST_WAIT_S))
        )

    def _listening(self, _result: object) -> None:
        if self._stopped:
            self._watch.close()
            return
        structlog.get_logger().info("told of changes again")
        self._reactor.addReader(self._watch)
        self._look_at_everything()  # whatever was missed

    def _remove_ended(self) -> Deferred[None]:
        return ensureDeferred(self._remove_ended_now()).addErrback(
            lambda failure: structlog.get_logger().error("what has ended stays for now", reason=str(failure.value))
        )

    async def _remove_ended_now(self) -> None:
        now = self.directory.now()
        if await self._database.read(expiry.anything_ended, now):
            await self._database.write(expiry.remove_ended, now)

    # -- ports ----------------------------------------------------------------------------------------------------

    def factory(self, *, implicit_tls: bool) -> Any:
        """What listens: in clear with STARTTLS, or under TLS from the first byte."""
        timeouts = Timeouts(self.settings.imap.login_timeout_s, self.settings.imap.idle_timeout_s)

        def make() -> ImapProtocol:
            return ImapProtocol(self.site, self.site.limits, timeouts, self._reactor, self.tls, secure=implicit_tls)

        factory = ImapFactory(make, limit=self.settings.imap.max_connections)
        self.factories.append(factory)
        wrapped: Any = factory
        tls: Any = self.tls
        return TLSMemoryBIOFactory(tls, False, wrapped, self._reactor) if implicit_tls else factory

    def start(self) -> None:
        """Listen.  StartError where a port is taken."""
        self.start_wakeups()
        log = structlog.get_logger()
        plain, under_tls = self.settings.imap.listen, self.settings.imap.listen_tls if self.tls else []
        for where, implicit in [*((one, False) for one in plain), *((one, True) for one in under_tls)]:
            host, _, port = where.rpartition(":")
            try:
                listening = self._reactor.listenTCP(
                    int(port), self.factory(implicit_tls=implicit), 511, host.strip("[]")
                )
            except (OSError, ValueError) as error:
                raise StartError(f"Cannot listen on {where}: {error}") from error
            except Exception as error:  # CannotListenError is no OSError
                raise StartError(f"Cannot listen on {where}: {error}") from error
            self._ports.append(listening)
            log.info("listening", address=where, protocol="imaps" if implicit else "imap")

    @property
    def ports(self) -> list[int]:
        """The numbers of the ports that are listened on, in the order of the settings, those under TLS last."""
        return [port.getHost().port for port in self._ports]

    def start_wakeups(self) -> None:
        """Begin to hear of what other processes do, and to clear away what has ended."""
        self._sweep.start(SWEEP_EVERY_S)
        if self.database.kind == "sqlite":
            self._poll.start(SqliteWatch.poll_s)
        else:
            self._reactor.addReader(self._watch)

    def reload(self) -> None:
        """Read the certificate again."""
        if self.tls is not None:
            try:
                self.tls.reload()
                structlog.get_logger().info("certificate read again")
            except TlsError as error:
                structlog.get_logger().error("the old certificate stays", reason=str(error))

    def stop(self) -> Deferred[Any]:
        """Say BYE to everybody and let go of everything.  Fires once the clients have gone, soon anyhow."""
        if self._stopped:
            return succeed(None)
        self._stopped = True
        gone = [maybeDeferred(port.stopListening) for port in self._ports]
        for factory in self.factories:
            for protocol in list(factory.protocols):
                protocol.session.bye("The server is shutting down")
            gone.append(factory.deserted())
        for timer in (self._retry, self._listen):
            if timer is not None and timer.active():
                timer.cancel()
        self.audience.close()
        self.directory.close()
        self.last_used.close()
        for loop in (self._sweep, self._poll):
            if loop.running:
                loop.stop()
        if self.database.kind == "postgresql":
            self._reactor.removeReader(self._watch)
        everybody: Deferred[Any] = DeferredList(gone)
        everybody.addTimeout(GOODBYE_S, self._reactor)
        return everybody.addErrback(self._cut_off).addCallback(self._let_go)

    def _cut_off(self, _failure: Failure) -> None:
        for factory in self.factories:
            for protocol in list(factory.protocols):
                protocol.abort()

    def _let_go(self, _result: object) -> None:
        self._hashing.stop()
        if self._asking is not None:
            self._asking.stop()
        self.database.close()
        self._watch.close()


def serve(settings: Settings) -> None:
    """Run until told to stop by SIGTERM or SIGINT; SIGHUP reads the certificate again."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    try:
        service = Service(settings, open_database(settings), reactor)
    except (TlsError, OauthError) as error:
        raise StartError(str(error)) from error
    service.start()
    if settings.log.pid_file:
        Path(settings.log.pid_file).write_text(f"{os.getpid()}\n")
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(service.reload))
    reactor.addSystemEventTrigger("before", "shutdown", service.stop)
    reactor.run()
    if settings.log.pid_file:
        Path(settings.log.pid_file).unlink(missing_ok=True)
