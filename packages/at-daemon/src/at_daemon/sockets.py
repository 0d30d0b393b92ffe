"""The daemon's listening Unix socket, and who is at the other end of a connection."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

from at_core.paths import Home, short_socket_path
from at_daemon.lock import require_held

BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as the kernel says: `pid` is None where the system does not tell it."""

    uid: int
    pid: int | None


def listen(home: Home) -> socket.socket:
    """The API's socket, mode 0600, bound but with the file's rights set before anybody can connect.

    A file that is there already is a leftover, because this process holds the lock; else AlreadyRunning is raised.
    Raises OSError.
    """
    require_held(home)
    home.socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o077)
    try:
        with short_socket_path(home.socket) as address:
            listener.bind(address)
        home.socket.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:  # whatever ends it, no socket is left open
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def peer_of(connection: socket.socket) -> Peer:
    """Credentials that the peer had when it connected (SO_PEERCRED, LOCAL_PEERCRED); raises OSError."""
    if sys.platform == "darwin":
        return _peer_on_macos(connection)
    pid, uid, _gid = struct.unpack(
        "iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    )
    return Peer(uid=uid, pid=pid or None)


def _peer_on_macos(connection: socket.socket) -> Peer:
    """`struct xucred` and the pid of `sys/un.h`, whose constants the socket module does not have."""
    sol_local, local_peercred, local_peerpid = 0, 1, 2
    _version, uid = struct.unpack("II", connection.getsockopt(sol_local, local_peercred, 76)[:8])
    (pid,) = struct.unpack("i", connection.getsockopt(sol_local, local_peerpid, 4))
    return Peer(uid=uid, pid=pid or None)
