"""The socket on which clients come: bound by the holder, and bound anew when somebody has removed its file."""

import _socket
import posix

SOCKET, FORMAT = 0o140000, 0o170000  # S_IFSOCK, S_IFMT
PRIVATE, OURS = 0o177, 0o077  # umask for the socket's file, and for everything else


def refuses(name: bytes) -> bool:
    """True when nobody listens on a socket in the working directory."""
    asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asking.setblocking(False)
        asking.connect(name)
    except ConnectionRefusedError:
        return True
    finally:
        asking.close()
    return False


class Listener:
    """A listening socket and its path, which may be longer than the 107 bytes of sun_path. Raises OSError.

    So it is bound by its name alone, from inside its folder, which is the working directory when it has been made.
    """

    def __init__(self, path: bytes) -> None:
        self.path, self.folder, self.name = path, *path.rpartition(b"/")[::2]
        posix.chdir(self.folder)
        if self.is_left_over():
            posix.unlink(self.name)
        self.socket, self.identity = self.bind()

    def is_left_over(self) -> bool:
        """Whether a holder that was killed has left its socket's file here."""
        try:
            return self.look()[2] & FORMAT == SOCKET and refuses(self.name)
        except OSError:
            return False  # there is none, or somebody listens

    def bind(self) -> tuple[_socket.socket, tuple[int, int]]:
        """A new socket that listens, with device and inode of its file: no other gets them while it is bound."""
        opened = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        posix.umask(PRIVATE)
        try:
            opened.bind(self.name)
        finally:
            posix.umask(OURS)
        opened.listen(64)
        opened.setblocking(False)
        return opened, self.look()[:2]

    def look(self) -> tuple[int, int, int]:
        """Device, inode and mode of what is at the path now."""
        found = posix.lstat(self.path)
        return found.st_dev, found.st_ino, found.st_mode

    def keep(self) -> None:
        """Bind anew if the file is gone or is a socket on which nobody listens; any other in its place is left there.

        Clients that were not accepted yet are disconnected by that and come again.
        """
        try:
            try:
                *found, mode = self.look()
            except FileNotFoundError:
                found, mode = [], SOCKET
            if tuple(found) != self.identity and mode & FORMAT == SOCKET:
                self.bind_anew(occupied=bool(found))
        except OSError:
            pass  # the folder is gone, somebody listens there, or no file is left: the next look may succeed

    def bind_anew(self, *, occupied: bool) -> None:
        """Raises OSError, and nothing has changed then. The way back is a file, as our folder may have been moved."""
        back = posix.open(".", posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            posix.chdir(self.folder)
            if occupied and not refuses(self.name):
                return
            if occupied:
                posix.unlink(self.name)
            former = self.socket
            self.socket, self.identity = self.bind()
            former.close()
        finally:
            posix.fchdir(back)
            posix.close(back)

    def remove(self) -> None:
        """Take the file away, if it is ours."""
        try:
            if self.look()[:2] == self.identity:
                posix.unlink(self.path)
        except OSError:
            pass  # somebody else has
