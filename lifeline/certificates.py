"""A site's own authority and certificates, by the library cryptography: our wrapper.

One authority, and one certificate for each server it is for: ``<role>.crt`` and ``<role>.key``.
What is there is kept; keys are readable for their owner alone. The authority's key is needed only
to make certificates: it should lie elsewhere in between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lifeline.errors import Missing, Rejected
from lifeline.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROLES: Final = ("mqtt", "page", "influxdb", "alertmanager")
AUTHORITY_DAYS: Final = 3650
DAYS: Final = 825  # browsers take none that hold longer
SOON: Final = timedelta(days=30)
_NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_-]+)*")
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one certificate: ``done`` is made or kept; ``note`` needs a person."""

    path: Path
    done: str
    ends: datetime
    note: str = ""


def make_certificates(
    folder: Path,
    hosts: Sequence[str],
    *,
    renew: bool = False,
    now: datetime | None = None,
    days: int = DAYS,
) -> list[Made]:
    """Make the authority and each role's certificate where missing; with ``renew``, the latter.

    Raises
    ------
    Rejected
        A host is neither a name nor an address.
    Missing
        The authority's key, or a part of a pair, is not there.
    """
    begin = now or datetime.now(UTC)
    names = _alternative_names(hosts)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = folder / "ca.crt"
    done = [_authority(folder, begin)]
    for role in ROLES:
        path, key = folder / f"{role}.crt", folder / f"{role}.key"
        if path.exists() and key.exists() and not renew:
            done.append(_kept(path, names, begin))
            continue
        certificate = _signed(folder, authority, role, names, key, (begin, days))
        write_private(path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        done.append(Made(path, "made", certificate.not_valid_after_utc))
    return done


def ends_of(path: Path) -> datetime:
    """Return when a certificate ends.

    Raises
    ------
    Missing
        It cannot be read, or is no certificate.
    """
    return _read(path).not_valid_after_utc


def ends_in(folder: Path) -> dict[str, datetime]:
    """Return when each certificate of a folder ends, by role, ``ca`` among them; as far as there.

    Raises
    ------
    Missing
        One cannot be read, or is no certificate.
    """
    paths = {name: folder / f"{name}.crt" for name in ("ca", *ROLES)}
    return {name: ends_of(path) for name, path in paths.items() if path.exists()}


def _authority(folder: Path, begin: datetime) -> Made:
    path, key_path = folder / "ca.crt", folder / "ca.key"
    if path.exists():
        held = _read(path)
        note = ""
        if held.not_valid_after_utc < begin + SOON:
            note = "ends soon: move all of this folder away, run this again, and give the new "
            note += "ca.crt to gateways and browsers"
        return Made(path, "kept", held.not_valid_after_utc, note)
    if key_path.exists():
        said = f"{path}: gone, but its key is there; put it back, or take {key_path} away for a "
        raise Missing(said + "new authority, which gateways and browsers must then be given")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "City Lifeline authority")])
    usage = _usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key, (begin, AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    write_private(path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    note = f"keep {key_path.name} away from this machine: it is needed only to make certificates"
    return Made(path, "made", certificate.not_valid_after_utc, note)


def _signed(
    folder: Path,
    authority: Path,
    role: str,
    names: list[x509.GeneralName],
    key_path: Path,
    span: tuple[datetime, int],
) -> x509.Certificate:
    """Return a new certificate of the authority, its key already written."""
    issuer, signing = _read(authority), _key(folder / "ca.key")
    begin, days = span
    left = (issuer.not_valid_after_utc - begin).days
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"City Lifeline {role}")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    certificate = (
        _builder(subject, issuer.subject, key, (begin, min(days, left)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signing, hashes.SHA256())
    )
    _write_key(key_path, key)
    return certificate


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    span: tuple[datetime, int],
) -> x509.CertificateBuilder:
    begin, days = span
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _CLOCKS_DIFFER)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _kept(path: Path, names: list[x509.GeneralName], begin: datetime) -> Made:
    held = _read(path)
    try:
        borne = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        borne = x509.SubjectAlternativeName([])
    lacking = [str(name.value) for name in names if name not in borne]
    note = ""
    if held.not_valid_after_utc < begin + SOON:
        note = "ends soon: --renew makes it anew"
    elif lacking:
        note = f"is not for {', '.join(lacking)}: --renew makes it anew, with every --host"
    return Made(path, "kept", held.not_valid_after_utc, note)


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys((*_THIS_MACHINE, *hosts)):
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError as error:
            if not _NAME.fullmatch(host) or len(host) > 253:
                said = f"{host!r} is neither a name nor an address; write it as gateways do, "
                raise Rejected(said + "without scheme and port: lifeline.example.org") from error
            names.append(x509.DNSName(host))
    return names


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        said = f"{path}: {error.strerror}; lifeline site certificates makes it"
        raise Missing(said) from error
    except ValueError as error:
        said = f"{path}: is no certificate in PEM; move it away, lifeline site certificates "
        raise Missing(said + "makes another") from error


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        said = f"{path}: {error.strerror}; put the authority's key back for as long as this runs"
        raise Missing(said) from error
    except (ValueError, TypeError) as error:
        raise Missing(f"{path}: is no key without a password; put the authority's back") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Missing(f"{path}: is a key of another kind than ours; put the authority's back")
    return key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, pem)
