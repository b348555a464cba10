"""Encrypted archives: tar within gzip within age, which ``age -d -i KEY FILE | tar xz`` opens without Causeway.

Archives pass in pieces, so that a large one takes no more memory than a small one. age seals piece by piece: a changed
piece, a piece in another place and a missing end are noticed.
"""

import gzip
import os
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyrage
from pyrage.x25519 import Identity, Recipient

from console.core.errors import Invalid

PIECE = 2**20
BEGINNING = b"age-encryption.org/v1\n"
QUICK = 1  # gzip's level: samples shrink by it nearly as well, in a third of the time
CUT_SHORT = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


# -- Writing


def member(name: str, size: int, blocks: Iterable[bytes], modified: float = 0) -> Iterator[bytes]:
    """Yield a file of the archive, in blocks that are ``size`` bytes together."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, int(modified), 0o600
    yield info.tobuf()
    yield from blocks
    yield bytes(-size % tarfile.BLOCKSIZE)


def write(target: Path, key: Recipient, members: Iterable[bytes]) -> int:
    """Write an archive; until it is whole, nothing has its name. Return its size in bytes.

    Raises `Invalid` for the name of a file that is no archive, also where that file came while the archive was made.
    """
    _check_replaceable(target)
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # its owner's alone
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            _encrypt(_compressed(members), file, key)
            file.flush()
            os.fsync(number)
        _check_replaceable(target)  # SQLite makes its -wal as late as it is read
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.parent)
    return target.stat().st_size


def _check_replaceable(target: Path) -> None:
    """Raise `Invalid` for what exists and is no archive: a slip in the name must not lose a database or a key."""
    if target.exists() and not (target.is_file() and _begins_as_archive(target)):
        raise Invalid(
            f"{target} exists and is no backup, and stays as it was. "
            "Give a name that nothing has, or that of an earlier backup."
        )


def _begins_as_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING


def sync(folder: Path) -> None:
    """Have a folder's names on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _compressed(members: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(QUICK, wbits=16 + zlib.MAX_WBITS)
    for block in members:
        yield packer.compress(block)
    yield packer.compress(bytes(2 * tarfile.BLOCKSIZE))
    yield packer.flush()


class _Source:
    """Blocks as a file to read. ``error``: what went wrong where the blocks are made."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks, self._rest = iter(blocks), memoryview(b"")
        self.error: BaseException | None = None

    def read(self, most: int) -> bytes:
        try:
            while not self._rest:
                if (block := next(self._blocks, None)) is None:
                    return b""
                self._rest = memoryview(block)
        except BaseException as error:
            self.error = error
            raise
        piece, self._rest = self._rest[:most], self._rest[most:]
        return bytes(piece)


def _encrypt(blocks: Iterable[bytes], file: IO[bytes], key: Recipient) -> None:
    source = _Source(blocks)
    try:
        pyrage.encrypt_io(source, file, [key])
    except Exception:
        if source.error is not None:
            raise source.error from None
        raise


# -- Reading


@dataclass(frozen=True)
class Member:
    """File of an archive, to be read before the next one."""

    name: str
    size: int
    modified: float
    file: IO[bytes]

    def blocks(self) -> Iterator[bytes]:
        while block := self.file.read(PIECE):
            yield block


class _Decryption(threading.Thread):
    """Decryption of a file into a pipe, since age pushes and readers of tar pull."""

    def __init__(self, file: IO[bytes], key: Identity, pipe: int) -> None:
        super().__init__(name="decryption", daemon=True)
        self._file, self._key, self._pipe = file, key, pipe
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with os.fdopen(self._pipe, "wb", PIECE) as pipe:
                pyrage.decrypt_io(self._file, pipe, [self._key])
        except BaseException as error:
            self.error = error


@contextmanager
def opened(path: Path, key: Identity) -> Iterator[Iterator[Member]]:
    """Give the files of an archive, one after the other.

    Whoever reads believes nothing before the end of the block: only there is the archive known to be whole.
    Raises `Invalid` for a wrong key, and for an archive that is damaged or none.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error
    read_end, write_end = os.pipe()
    decryption = _Decryption(file, key, write_end)
    with file, os.fdopen(read_end, "rb", PIECE) as plain:
        decryption.start()
        try:
            with gzip.GzipFile(fileobj=plain) as unpacked:
                with tarfile.open(fileobj=unpacked, mode="r|", bufsize=PIECE) as tar:
                    yield _members(tar)
                while unpacked.read(PIECE):
                    pass
            _join(decryption, plain)
        except CUT_SHORT as error:
            _join(decryption, plain)
            raise _no_backup(path, decryption.error) from error
        except BaseException:
            with suppress(OSError):
                plain.close()  # ends the other thread, if that still writes
            decryption.join()
            raise
    if decryption.error is not None:
        raise _no_backup(path, decryption.error) from decryption.error


def _members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        if (file := tar.extractfile(info)) is not None:
            yield Member(info.name, info.size, info.mtime, file)


def _join(decryption: _Decryption, plain: IO[bytes]) -> None:
    while plain.read(PIECE):
        pass
    decryption.join()


def _no_backup(path: Path, error: BaseException | None) -> Invalid:
    if "No matching keys" in str(error):
        return Invalid(f"The key does not open {path}. Give the secret key of the public key that made it.")
    if error is None or isinstance(error, pyrage.DecryptError):
        return Invalid(f"{path} is no backup, or its beginning is damaged.")
    return Invalid(f"{path} is damaged or cut short. Nothing was read from it.")
