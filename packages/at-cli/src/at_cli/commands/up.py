"""`at up`: the daemon."""

from __future__ import annotations

from at_cli.face import Face
from at_cli.verb import verb


@verb(example="at up")
def command(face: Face) -> None:
    """Start the daemon and wait until it answers. Other verbs do so by themselves."""
    document = face.call("health")
    face.emit(
        {**document, "socket": str(face.home.socket)},
        [f"the daemon runs: process {document['pid']}, version {face.style.plain(document['version'])}"],
    )
