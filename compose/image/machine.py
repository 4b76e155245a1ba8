"""What an image that starts FROM scratch takes from this machine: a static shell, the C library, programs.

Linux with glibc only, and the image is for this machine's processor. Nothing here needs root.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

USER_ID = 1000
"""Who runs in our images, as in apache/kafka: never root."""

_FOLDERS = ("bin", "usr/bin", "etc", "tmp", "root", "proc", "sys", "dev", "var/run")
_ETC = {
    "passwd": f"root:x:0:0:root:/root:/bin/sh\nappuser:x:{USER_ID}:{USER_ID}::/var/lib/replicator:/bin/sh\n",
    "group": f"root:x:0:\nappuser:x:{USER_ID}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_LOADED_LATE = ("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
"""Libraries that glibc opens by name when it first needs them, so that no program lists them."""

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_ELF = b"\x7fELF"
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)")
_LDD_AT_ONCE = 64


class CannotLayOut(SystemExit):
    """This machine lacks something an image needs; the text says what and how to get it."""


def lay_out_root(root: Path, *, programs: Iterable[Path]) -> None:
    """Leave in `root` a root file system with a shell, certificates, and every library that `programs` load.

    `programs` are files or folders; libraries that lie inside one of the folders are left where they are.
    """
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in _ETC.items():
        (root / "etc" / name).write_text(text, encoding="ascii")
    if _AUTHORITIES.exists():
        copy_file(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
    _add_shell(root)
    _add_libraries(root, list(programs))


def _add_shell(root: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None or _libraries_of([Path(busybox)]):
        raise CannotLayOut("no static busybox on this machine; on Debian: apt-get install busybox-static")
    copy_file(Path(busybox).resolve(), root / "bin" / "busybox")
    for applet in _run([busybox, "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "usr" / "bin" / "env").symlink_to("/bin/env")


def _add_libraries(root: Path, programs: list[Path]) -> None:
    binaries = [path for program in programs for path in find_binaries(program)]
    folders = [program for program in programs if program.is_dir()]
    found = {path for path in _libraries_of(binaries) if not any(path.is_relative_to(folder) for folder in folders)}
    libc = next((path for path in found if path.name == "libc.so.6"), None)
    if libc is None:
        raise CannotLayOut("the programs do not use glibc: only Linux with glibc can lay out an image of its own")
    for path in sorted(found):
        # The loader's path is part of every program; the others are searched beside libc.
        place = path if path.name.startswith("ld-linux") else libc.parent / path.name
        copy_file(path, root / place.relative_to("/"))
    for name in _LOADED_LATE:
        if (libc.parent / name).exists():
            copy_file(libc.parent / name, root / (libc.parent / name).relative_to("/"))


def find_binaries(place: Path) -> list[Path]:
    """Return every ELF file at or below `place`."""
    candidates = [place] if place.is_file() else (path for path in place.rglob("*") if path.is_file())
    return [path for path in candidates if not path.is_symlink() and _is_elf(path)]


def _is_elf(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(_ELF)) == _ELF


def _libraries_of(binaries: list[Path]) -> set[Path]:
    """Return what the loader would load for the binaries; a static program loads nothing."""
    found: set[Path] = set()
    for start in range(0, len(binaries), _LDD_AT_ONCE):
        found |= set(map(Path, _LIBRARY.findall(_run(["ldd", *map(str, binaries[start : start + _LDD_AT_ONCE])]))))
    return found


def _run(argv: list[str]) -> str:
    """Return what the program says; ldd fails when one of several files is static, and still answers for the rest."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout
    except FileNotFoundError as exc:
        raise CannotLayOut(f"no {argv[0]} on this machine ({sys.platform}): images are laid out on Linux") from exc


def copy_file(source: Path, place: Path) -> None:
    """Leave a copy of the file at `place`, links followed, readable by everybody and executable if it was."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    place.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)


def copy_tree(source: Path, place: Path, *, leave_out: Iterable[str] = ()) -> None:
    """Leave a copy of the folder at `place` without what matches `leave_out`, links kept."""
    shutil.copytree(
        source, place, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", *leave_out), dirs_exist_ok=True
    )
