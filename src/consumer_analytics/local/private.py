"""Folders and files that are one user's alone: made, checked, tightened, never through a link.

As root there is a second user: PostgreSQL's own, as which the server runs. It may pass through
our folders and owns some below them, and what it puts there is not to be trusted: whatever we
read or write in those is reached from the opened folder and by its own name.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: PostgreSQL refuses to run as root; then it runs as this user.
SERVER_USER = "pgserver"
#: More than any file of the server's that we read as a whole has.
_LONGEST = 16 * 2**20


def _refused(path: Path | str, reason: str) -> OSError:
    return OSError(errno.EPERM, reason, str(path))


def name_of(uid: int) -> str | None:
    """Return the name of a user; None where the system has none for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def require_safe_way(path: Path) -> None:
    """Check that nobody but this user and root can put something else in the place of a path.

    Args:
        path: absolute; itself and what it leads through need not be there yet.

    Raises:
        OSError: it is a link, or somebody else's, or lies in a folder that others may write.
            The sticky bit, as on /tmp, makes a folder safe in which others may write.
    """
    if path.is_symlink():
        raise _refused(path, f"it is a link, to {path.readlink()}")
    for place in _way(path):
        try:
            status = place.lstat()
        except FileNotFoundError:
            continue
        if status.st_uid not in {0, os.geteuid()}:
            raise _refused(place, f"it leads through what belongs to {_owner(status)}")
        if not stat.S_ISLNK(status.st_mode) and _others_may_write(status):
            raise _refused(place, "it leads through a folder that others may write")


def _way(path: Path) -> Iterator[Path]:
    """Yield every folder and link that a path leads through, also by way of links."""
    ahead, seen = [path], set[Path]()
    while ahead:
        for place in ahead.pop().parents:
            if place not in seen:
                seen.add(place)
                yield place
                if place.is_symlink():
                    # With a name behind it, so that it is itself one of the folders above.
                    ahead.append(place.parent / place.readlink() / path.name)


def _owner(status: os.stat_result) -> str:
    return f"user {name_of(status.st_uid) or status.st_uid}"


def _others_may_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX:
        return False
    return bool(
        status.st_mode & stat.S_IWOTH
        or (status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid))
    )


def _is_private_group(gid: int) -> bool:
    """Tell whether a group is root's, or has this user alone, as many systems make them."""
    if gid == 0:
        return True
    own = name_of(os.geteuid())
    if gid != os.getegid() or own is None:
        return False
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == own and {*group.gr_mem} <= {own}


def server_group() -> int | None:
    """Return the group of PostgreSQL's own user, whom root's folders let through."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER).pw_gid
    except KeyError:
        return None


def _tight(status: os.stat_result) -> int:
    """Return the mode that something of ours should have, by the one that it has."""
    mode = stat.S_IMODE(status.st_mode)
    passes = stat.S_ISDIR(status.st_mode) and status.st_gid == server_group()
    return mode & ~0o077 | (mode & stat.S_IXGRP if passes else 0)


def is_private(folder: Path) -> bool:
    """Tell whether a folder, where it is there, is this user's alone."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return True
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and stat.S_IMODE(status.st_mode) == _tight(status)
    )


@contextmanager
def opened(folder: Path, owners: Collection[int] = ()) -> Iterator[int]:
    """Open a folder for a `with` block.

    Args:
        folder: no link.
        owners: users whose it may be, besides this one.

    Yields:
        Its descriptor, by which its entries are reached.

    Raises:
        OSError: it is no folder, or somebody else's.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP} and folder.is_symlink():
            raise _refused(folder, f"it is a link, to {folder.readlink()}") from None
        raise
    try:
        status = os.fstat(descriptor)
        if status.st_uid not in {os.geteuid(), *owners}:
            raise _refused(folder, f"it belongs to {_owner(status)}")
        yield descriptor
    finally:
        os.close(descriptor)


def make_folder(folder: Path, owner: pwd.struct_passwd | None = None) -> None:
    """Make a folder that its owner alone may enter, or make one so that is there.

    Args:
        folder: what it lies in must be there.
        owner: whose it shall be; None: this user's.

    Raises:
        OSError: it cannot be made; or what is there is no folder, or somebody else's.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_symlink() and not folder.is_dir():
            raise
    with opened(folder, [owner.pw_uid] if owner else []) as descriptor:
        status = os.fstat(descriptor)
        if owner is not None and (status.st_uid, status.st_gid) != (owner.pw_uid, owner.pw_gid):
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        wanted = 0o700 | (_tight(status) if owner is None else 0)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != wanted:
            os.fchmod(descriptor, wanted)


def tighten(folder: Path, *, without: Collection[Path] = ()) -> None:
    """Take others' rights from everything below a folder that is this user's.

    Args:
        folder: this user's already, so that nobody else changes anything in it meanwhile.
        without: what is left as it is, with what is below it.
    """
    left = {str(path) for path in without}
    for top, folders, files, descriptor in os.fwalk(folder):
        entered = []
        for name in (*folders, *files):
            if os.path.join(top, name) in left:  # noqa: PTH118
                continue
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_folder = stat.S_ISDIR(status.st_mode)
                # A second name of a file may be somebody's who wants another one changed.
                ours = status.st_uid == os.geteuid() and (is_folder or status.st_nlink == 1)
                if not ours or stat.S_ISLNK(status.st_mode):
                    continue
                if stat.S_IMODE(status.st_mode) != (wanted := _tight(status)):
                    os.chmod(name, wanted, dir_fd=descriptor)
                if is_folder:
                    entered.append(name)
            except FileNotFoundError:
                # Removed by what runs in it.
                continue
        folders[:] = entered


def let_pass(folder: Path, user: pwd.struct_passwd) -> str | None:
    """Let a user pass through a folder, and not list it; return how, None where it may already."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == user.pw_uid or mode & stat.S_IXOTH:
            return None
        if status.st_gid in os.getgrouplist(user.pw_name, user.pw_gid):
            if not mode & stat.S_IXGRP:
                os.fchmod(descriptor, mode | stat.S_IXGRP)
                return "chmod g+x"
            return None
        if mode & 0o070:
            # Its group has rights of its own, which another one must not get.
            os.fchmod(descriptor, mode | stat.S_IXOTH)
            return "chmod o+x"
        os.fchown(descriptor, -1, user.pw_gid)
        os.fchmod(descriptor, mode | stat.S_IXGRP)
        return f"chgrp {grp.getgrgid(user.pw_gid).gr_name}, chmod g+x"
    finally:
        os.close(descriptor)


def read(folder: int, name: str) -> bytes | None:
    """Return what a file in an opened folder holds; None where there is no such file.

    A link, or anything else that is no regular file, counts as none. Of a long one the end.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        file.seek(max(0, status.st_size - _LONGEST))
        return file.read(_LONGEST)


def write(folder: int, name: str, text: str, owner: pwd.struct_passwd | None = None) -> None:
    """Replace a file in an opened folder at once by one that its owner alone may read.

    Args:
        folder: the folder's descriptor.
        name: of the file; a link of that name is replaced, not followed.
        text: what the file shall hold.
        owner: whose it shall be; None: this user's.
    """
    partial = f"{name}.partial"
    with suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=folder)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if owner is not None:
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
    os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)


def write_file(path: Path, text: str) -> None:
    """Replace a file in a folder of ours at once by one that this user alone may read."""
    with opened(path.parent) as folder:
        write(folder, path.name, text)
