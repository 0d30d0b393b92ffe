"""Puts this process, and all that it starts from then on, into a network namespace with only loopback.

No CLI of the suite can reach a vendor by mistake, whatever its settings say. Linux only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


class CannotSeal(Exception):
    """This system lets us make no network namespace; the message says why."""


def is_sealed() -> bool:
    """Whether loopback is the only interface there is."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def seal() -> None:
    """Enter the namespace and bring loopback up; nothing to do if it is so already. Raises CannotSeal."""
    try:
        if not is_sealed():
            _enter()
        _bring_up("lo")
    except OSError as error:
        # Where user namespaces are restricted (AppArmor), one is made, and then nothing is allowed in it.
        raise CannotSeal(f"no network namespace: {error.strerror or error}") from error


def _enter() -> None:
    if sys.platform != "linux":
        raise CannotSeal("network namespaces are a feature of Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET if user == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise CannotSeal(f"no network namespace: {reason} (a user namespace needs a process with one thread)")
    if user != 0:
        # The same ids inside as outside, so that nothing sees a change of user.
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(content)


def _bring_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack("16xh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[0]
        if not flags & _IFF_UP:
            fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | _IFF_UP))
