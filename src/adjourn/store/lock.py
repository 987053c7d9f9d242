"""One process owns one file: an exclusive lock on a side file that names the owner."""

from __future__ import annotations

import os
import sys

from adjourn.errors import FileLockedError, FileRefusedError


class OwnerLock:
    """`<file>.lock`, locked by the operating system, so that a killed owner lets go by itself."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._side = f"{path}.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises: FileLockedError naming the owner's pid; FileRefusedError."""
        try:
            descriptor = os.open(self._side, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise FileRefusedError(
                self._path,
                f"its lock file cannot be made ({error.strerror})",
                "Check that its folder exists and is writable.",
            ) from error
        try:
            _lock(descriptor)
        except OSError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise FileLockedError(self._path, int(owner) if owner.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Idempotent. The side file stays: removing it would race with the next owner."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
