"""Certificates: our own, whom we believe, and their files as they change."""

from __future__ import annotations

from sipx.certificates.anchors import TrustSet
from sipx.certificates.own import (
    CertificateError,
    OwnCertificate,
    is_issued_by,
    load_own,
    read_certificates,
)
from sipx.certificates.store import LOOK, CertificateState, CertificateStore

__all__ = [
    "LOOK",
    "CertificateError",
    "CertificateState",
    "CertificateStore",
    "OwnCertificate",
    "TrustSet",
    "is_issued_by",
    "load_own",
    "read_certificates",
]
