"""Hand the parent's credentials and its key of the HMACs to the workers of ``--processes``, over a socket.

The socket is a file in a private folder, so only processes of the same user reach it; on Linux their user is checked
too. Nothing of it is written to disk, and the tasks name nothing but the path of the socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from lexport.aws.credentials import Loaded, configured_session
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, LexportError
from lexport.extract.hash_key import HashKey
from lexport.extract.shard_process import OwnAccess

_MOST_BYTES = 64 * 1024
_ANSWER_WITHIN_S = 60.0
_LONGEST_FOLDER = 70  # the path of a socket has at most 103 bytes on every system


class _Credentials(msgspec.Struct, frozen=True):
    access_key: str
    secret_key: str
    token: str | None
    profile: str | None
    account_id: str | None
    expires_at_s: float | None


class _Answer(msgspec.Struct, frozen=True):
    credentials: _Credentials | None = None
    hash_key: bytes | None = None
    error: str | None = None


@asynccontextmanager
async def serve_access(session: Session, hash_key: HashKey | None) -> AsyncIterator[str]:
    """Hand out the credentials of a session and the key while the block runs; yield the path of the socket."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if _is_own(writer.get_extra_info("socket")):
                asked = (await reader.readline()).decode("ascii", "replace").strip()
                writer.write(msgspec.json.encode(await _answer(asked, session, hash_key)) + b"\n")
                await writer.drain()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="lexport-", dir=_folder_for_socket()) as folder:  # mode 0700
        path = str(Path(folder) / "access")
        server = await asyncio.start_unix_server(answer, path, limit=_MOST_BYTES)
        try:
            yield path
        finally:
            server.close()


def _folder_for_socket() -> str | None:
    """Return where the private folder is made: the usual place, unless the path of a socket there would be too long."""
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER else None  # noqa: S108 - of mode 0700


async def _answer(asked: str, session: Session, hash_key: HashKey | None) -> _Answer:
    if asked == "hash_key":
        return _Answer(hash_key=hash_key.secret if hash_key else None)
    try:
        own = await session.credentials()
    except LexportError as error:
        return _Answer(error=str(error))
    return _Answer(
        credentials=_Credentials(
            own.access_key, own.secret_key, own.token, session.profile, session.named_account, session.expires_at_s
        )
    )


def _is_own(connection: socket.socket) -> bool:
    """Return whether the process at the other end is of the same user, as far as the system says."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", peer)[1] == os.geteuid())


def access_of_worker(path: str | None) -> OwnAccess:
    """Return what a worker has of its own: the credentials and the key of its parent, or without one its own chain."""
    if path is None:
        return OwnAccess()
    return OwnAccess(source=partial(_load, path), find_key=partial(_find_key, path))


async def _load(path: str) -> Loaded:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MOST_BYTES)
            try:
                writer.write(b"credentials\n")
                answer = msgspec.json.decode(await reader.readline(), type=_Answer)
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError) as error:
        raise CredentialsError(
            f"the process that started this one hands out no credentials: {type(error).__name__}"
        ) from None
    own = answer.credentials
    if own is None:
        raise CredentialsError(answer.error or "the process that started this one has no credentials")
    return Loaded(
        session=configured_session(own.profile),
        credentials=Credentials(own.access_key, own.secret_key, own.token),
        account_id=own.account_id,
        expires_at_s=own.expires_at_s,
    )


def _find_key(path: str, key_id: str) -> HashKey:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as answers:
        connection.settimeout(_ANSWER_WITHIN_S)
        connection.connect(path)
        connection.sendall(b"hash_key\n")
        answer = msgspec.json.decode(answers.readline(_MOST_BYTES), type=_Answer)
    if answer.hash_key is None:
        raise CredentialsError("the process that started this one hands out no key of the HMACs")
    key = HashKey(answer.hash_key)
    assert key.key_id == key_id
    return key
