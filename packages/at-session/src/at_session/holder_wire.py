"""The formats of the holder: frames of its socket, records of its journal, fields. docs/protocol.md describes them.

They are defined here only; clients import them too. Standard library only, and of that only what is written in C: see
`holder.py`.
"""

import binascii
import struct

Fields = dict[bytes, bytes]

PROTOCOL = 1  # the only version so far; HELLO negotiates
FRAME = struct.Struct("<IBI")  # length of the payload, type, request number
MAX_FRAME = 8 << 20
HELLO, WRITE, CLOSE_INPUT, FOLLOW, RESIZE, SIGNAL, STOP, STATUS, TRIM, LEASE, RELEASE, CLOSE, TERMINAL = (
    range(1, 14)
)
OK, ERROR, NEWS, RETURNED = range(64, 68)
WRITE_HEAD = struct.Struct("<QB")  # fence, length of the write id; then the id, then the bytes
RETURNED_HEAD = struct.Struct("<QB")  # offset, 1 if the attachment has ended; then output not yet written

# crc32 of what follows, payload length, offset, time (ns), kind, 0, id length
RECORD = struct.Struct("<IIQQBBH")
K_START, K_OUTPUT, K_STDERR, K_INPUT, K_REPLY, K_EOF, K_RESIZE, K_SIGNAL, K_EXIT, K_GAP, K_NOTE, K_END = (
    range(1, 13)
)
EXIT_STATUS = struct.Struct("<ii")  # exit code or -1, signal number or 0
GAP_RANGE = struct.Struct("<QQ")  # offsets [from, to) that are no longer kept

MARK = b"AT_SESSION_MARK"
CHUNK = 65536

# Terminal queries whose honest answer does not depend on the screen. The cursor position (ESC[6n) does and is left to
# whoever shows the screen; kitty's ESC[?u is answered by silence, which says "no". ESC[c is last, as programs send it
# behind other queries to learn that no more answers come.
COLOURS = ((b"10", b"d0d0/d0d0/d0d0"), (b"11", b"1010/1010/1010"))
QUERIES = [
    *(
        (b"\x1b]%s;?%s" % (n, end), b"\x1b]%s;rgb:%s%s" % (n, rgb, end))
        for n, rgb in COLOURS
        for end in (b"\7", b"\x1b\\")
    ),
    *((b"\x1b[5n", b"\x1b[0n"), (b"\x1b[0c", b"\x1b[?62;22c"), (b"\x1b[c", b"\x1b[?62;22c")),
]
LONGEST_QUERY = max(len(query) for query, _ in QUERIES)

# Ctrl-\\ as terminals send it: plain, as kitty's keyboard protocol, as xterm's modifyOtherKeys.
DETACH_KEYS = (b"\x1c", b"\x1b[92;5u", b"\x1b[27;5;92~")


def fields(payload: bytes) -> Fields:
    """Decode `key=value` texts, each ended by NUL. Raises ValueError on anything else."""
    if payload and payload[-1]:
        raise ValueError
    return dict(text.split(b"=", 1) for text in payload.split(b"\0")[:-1])


def pack_fields(*pairs: tuple[str, object]) -> bytes:
    """Encode `key=value` texts; values are bytes, str or int and hold no NUL."""
    return b"".join(
        b"%s=%s\0" % (k.encode(), v if isinstance(v, bytes) else str(v).encode()) for k, v in pairs
    )


def frame(kind: int, request: int, payload: bytes = b"") -> bytes:
    return FRAME.pack(len(payload), kind, request) + payload


def pack_record(offset: int, when: int, kind: int, wid: bytes, payload: bytes) -> bytes:
    """One journal record."""
    body = RECORD.pack(0, len(wid) + len(payload), offset, when, kind, 0, len(wid))[4:] + wid + payload
    return binascii.crc32(body).to_bytes(4, "little") + body
