"""Secrets that must be read again, encrypted for the records: keys of providers.

Fernet (AES-128-CBC with HMAC-SHA256; https://github.com/fernet/spec). Its key is a file of the data
volume, which no backup of the records has: whoever reads Redis or a backup learns nothing.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from services.cluster import durable_files
from services.cluster.errors import Conflict, OutOfDisk

SEALING_KEY = "sealing.key"  # in the data volume


class Sealer:
    def __init__(self, data_dir: Path) -> None:
        self._place = data_dir / SEALING_KEY
        self._fernet: Fernet | None = None

    def seal(self, secret: str) -> str:
        """Raises OutOfDisk where the key cannot be kept, Conflict where it cannot be read."""
        try:
            ensure_sealing_key(self._place.parent)
        except OSError as error:
            raise OutOfDisk(f"{self._place.name} cannot be written ({error.strerror}).") from error
        self._fernet = None  # what is sealed now must be read by whoever has the file
        return self._key().encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises Conflict for what another key sealed, or where the key cannot be read."""
        try:
            return self._key().decrypt(sealed.encode()).decode()
        except InvalidToken:
            pass
        self._fernet = None  # somebody may have brought the right one back
        try:
            return self._key().decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Conflict(
                f"A kept secret cannot be read: it was encrypted with another {self._place.name}"
                " than that of this data volume. Set it again."
            ) from None

    def _key(self) -> Fernet:
        if self._fernet is None:
            try:
                self._fernet = Fernet(self._place.read_text().strip())
            except OSError as error:
                raise Conflict(
                    f"A kept secret cannot be read: {self._place.name} of the data volume cannot"
                    f" be read ({error.strerror}). Bring it back, or set the secret again."
                ) from None
            except ValueError:
                raise Conflict(
                    f"{self._place.name} of the data volume is no key. Bring the right one back,"
                    " or delete it and set the secrets again."
                ) from None
        return self._fernet


def ensure_sealing_key(data_dir: Path) -> None:
    """Makes it, readable by its user only; whoever is first wins. Raises OSError."""
    place = data_dir / SEALING_KEY
    if not place.exists():
        durable_files.write_first(place, Fernet.generate_key().decode() + "\n", mode=0o600)
