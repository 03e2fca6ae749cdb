"""Ed25519 signatures, by the package ``cryptography``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.errors import ArtifactError, UsageError
from edgeferry.registry import is_installed, missing_dependency

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_MAKE = "openssl genpkey -algorithm ed25519 -out KEY.pem makes one"
_EXTRACT = "openssl pkey -in KEY.pem -pubout -out PUB.pem gives it"


def sign(key: Path, message: bytes) -> bytes:
    """Sign some bytes: 64 bytes, the same for the same.

    Args:
        key: PEM file of an Ed25519 private key.
        message: What to sign.

    Raises:
        UsageError: If it is no such file.
        MissingDependencyError: If ``cryptography`` is not installed.
    """
    return _private_key(key).sign(message)


def check_signature(key: Path, message: bytes, signature: bytes) -> None:
    """See that some bytes were signed with the private key that belongs to a public one.

    Args:
        key: PEM file of an Ed25519 public key.
        message: What was signed.
        signature: What ``sign`` gave.

    Raises:
        ArtifactError: If they were not.
        UsageError: If the file holds no such key.
        MissingDependencyError: If ``cryptography`` is not installed.
    """
    public = _public_key(key)
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, message)
    except InvalidSignature:
        raise ArtifactError(
            f"it was not signed with the key that belongs to {key}, or was changed since"
        ) from None


def check_private_key(key: Path) -> str:
    """See that a file holds a key to sign with, before any work is done.

    Returns:
        SHA-256 of the public key that belongs to it, hexadecimal: what tells it from others.

    Raises:
        UsageError: If it does not.
        MissingDependencyError: If ``cryptography`` is not installed.
    """
    return hashlib.sha256(_private_key(key).public_key().public_bytes_raw()).hexdigest()


def _private_key(path: Path) -> Ed25519PrivateKey:
    content = _read(path, "--sign")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, None)
    except TypeError:  # it asks for a password
        raise UsageError(
            f"{path} is locked with a password", f"openssl pkey -in {path} -out PLAIN.pem opens it"
        ) from None
    except Exception:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} holds no Ed25519 private key in PEM", _MAKE)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    content = _read(path, "--key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(content)
    except Exception:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path} holds no Ed25519 public key in PEM", _EXTRACT)
    return key


def _read(path: Path, option: str) -> bytes:
    if not is_installed("cryptography"):
        raise missing_dependency(option, ("cryptography",), "sign")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
