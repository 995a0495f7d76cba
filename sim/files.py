"""Files that appear whole or not at all."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from sim.errors import BadInput


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing; it takes the place of `path` when the block succeeds.

    Raises:
        BadInput: a place that cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    if path.is_dir():
        os.close(handle)
        Path(name).unlink()
        raise BadInput(f"{path}: expected a file or nothing, got a folder; move it away")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BadInput(
                f"{path}: cannot be written ({error.strerror or error}); make room there, or choose another folder"
            ) from None
        raise


def write_sealed(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Write a file atomically whose name holds the digest of its content, so that damage to it is noticed."""
    path = folder / f"{stem}-{_seal(content)}{suffix}"
    with atomic_file(path) as file:
        file.write(content)
    return path


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote; None for a file that is damaged, missing or of another origin."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if f"-{_seal(content)}." in path.name else None


def _seal(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def empty_folder(path: Path) -> None:
    """Make sure that `path` is a folder with nothing in it.

    Raises:
        BadInput: a file, a folder that holds something, or a place that cannot be written.
    """
    try:
        if path.exists() and not path.is_dir():
            raise BadInput(f"--out {path}: expected a folder, got a file")
        if path.exists() and any(path.iterdir()):
            raise BadInput(f"--out {path}: the folder is not empty; choose another")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from None


def locked_folder(path: Path) -> IO[str]:
    """Make a folder and hold its lock, until the returned file is closed or the process ends.

    Raises:
        BadInput: a place that cannot be written, or a folder whose lock another process holds.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "lock").open("w")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadInput(f"--out {path}: another run is writing there; wait for it, or choose another folder") from None
    return lock
