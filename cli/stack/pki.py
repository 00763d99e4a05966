"""Certificates of one development cluster: an own authority, kept beside the cluster, trusted by nobody else."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

VALID = dt.timedelta(days=3650)
CLOCK_SKEW = dt.timedelta(minutes=5)
SERVER_NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"]


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of one authority; made once, on first use."""

    folder: Path
    host: str = "localhost"
    """One more name of the API server."""

    @property
    def authority(self) -> Path:
        """The certificate that everyone in the cluster trusts."""
        return self.folder / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate and key of the API server, which kwok's kubelet port shares."""
        return self.folder / "server.crt", self.folder / "server.key"

    @property
    def service_accounts(self) -> tuple[Path, Path]:
        """Public and private key that sign ServiceAccount tokens."""
        return self.folder / "sa.pub", self.folder / "sa.key"

    def ensure(self) -> None:
        """Make all files unless they are there."""
        if self.service_accounts[1].exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_authority()
        self.issue("server", "kube-apiserver", names=dict.fromkeys([*SERVER_NAMES, self.host]))
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.service_accounts[0].write_bytes(public)
        _write_key(self.service_accounts[1], key)

    def issue(
        self, stem: str, user: str, *, groups: Sequence[str] = (), names: Iterable[str] = ()
    ) -> tuple[Path, Path]:
        """A certificate for a user in groups (Kubernetes reads CN and O), or for a server with these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        builder = _builder(_subject(user, groups), authority.subject, key.public_key())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        certificate, private = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        _write_key(private, key)
        certificate.write_bytes(_pem(builder.sign(self._authority_key(), hashes.SHA256())))
        return certificate, private

    def _make_authority(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject("berth-devcluster", ())
        builder = _builder(name, name, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        _write_key(self.folder / "ca.key", key)
        self.authority.write_bytes(_pem(builder.sign(key, hashes.SHA256())))

    def _authority_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not of our making")
        return key


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
    )


def _subject(user: str, groups: Sequence[str]) -> x509.Name:
    common = x509.NameAttribute(NameOID.COMMON_NAME, user)
    return x509.Name([*(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups), common])


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_alternative(name) for name in names]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
