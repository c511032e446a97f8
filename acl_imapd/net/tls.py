"""TLS contexts from PEM files: 1.2 and up, and another certificate without a restart."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer


class TlsError(Exception):
    """The certificate or the key cannot be used; the text says which and why."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes the server's side of TLS connections with the certificate as last read."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """*client_ca*: clients may prove who they are by certificates of these authorities."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._context = self._load()

    def reload(self) -> None:
        """Read the files again.  TlsError, and the old certificate stays, where they cannot be used."""
        self._context = self._load()

    def _load(self) -> SSL.Context:
        try:
            chain = x509.load_pem_x509_certificates(self._certificate.read_bytes())
            key: Any = serialization.load_pem_private_key(self._key.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise TlsError(f"{self._certificate} or {self._key} cannot be read: {error}") from error
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE)
        context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        try:
            context.use_certificate(chain[0])
            for extra in chain[1:]:
                context.add_extra_chain_cert(extra)
            context.use_privatekey(key)
            context.check_privatekey()
        except SSL.Error as error:
            raise TlsError(f"{self._key} is not the key of {self._certificate}") from error
        if self._client_ca is not None:
            try:
                context.load_verify_locations(str(self._client_ca))
                context.load_client_ca(str(self._client_ca).encode())
            except (SSL.Error, OSError) as error:
                raise TlsError(f"{self._client_ca} cannot be read as certificates of authorities") from error
            # A certificate is asked for, not insisted on; one that is shown must be good, or there is no connection.
            context.set_verify(SSL.VERIFY_PEER, lambda _connection, _certificate, _error, _depth, good: bool(good))
            context.set_session_id(b"acl-imapd")
        return context

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection with the current certificate."""
        return SSL.Connection(self._context, None)


def channel_binding(connection: SSL.Connection, kind: bytes) -> bytes | None:
    """What identifies the TLS connection; None for a kind that it cannot give."""
    if kind == b"tls-exporter":
        # RFC 9266 §3: 32 octets, an empty context.  Before TLS 1.3 it is sound only with RFC 7627, which cannot be
        # seen from here.
        if connection.get_protocol_version_name() != "TLSv1.3":
            return None
        exported: bytes = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        return exported
    if kind == b"tls-server-end-point":
        certificate = connection.get_certificate()
        return end_point(certificate.to_cryptography()) if certificate is not None else None
    return None


def end_point(certificate: x509.Certificate) -> bytes | None:
    """The hash of the server's certificate, by the algorithm it is signed with; SHA-256 instead of MD5 and SHA-1.

    RFC 5929 §4.1; None where the signature's algorithm has no hash of its own.
    """
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    return certificate.fingerprint(hashes.SHA256() if weak else algorithm)


def client_names(connection: SSL.Connection) -> list[str]:
    """The names in the certificate the client has shown: its e-mail addresses, without any its common names."""
    shown = connection.get_peer_certificate()
    if shown is None:
        return []
    certificate: x509.Certificate = shown.to_cryptography()
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        addresses = []
    else:
        addresses = list(alternatives.get_values_for_type(x509.RFC822Name))
    if addresses:
        return addresses
    return [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]


def make_self_signed(directory: Path, hostnames: tuple[str, ...] = ("localhost", "127.0.0.1")) -> tuple[Path, Path]:
    """A certificate and key for trying things out, in *directory*; their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostnames[0])])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = []
    for host in hostnames:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=825))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "tls.crt", directory / "tls.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path
