"""Start a server: become its user, tie its life to the caller's, then replace this process by the server.

Run as a script, in an interpreter of its own: Popen's `preexec_fn` would do the same in a forked copy of a
program that may have threads, where any lock that one of them held is held for ever. Needs the standard
library alone.

    python -I -S launch.py PARENT UID GID CAPABILITY COMMAND...

PARENT is the process id of the caller, CAPABILITY the number of the one to keep, or -1. To keep one takes the
right to set secure bits (CAP_SETPCAP). Without SECBIT_NO_SETUID_FIXUP, which the command inherits, access(2)
answers a user other than root as if there were no capabilities, and PostgreSQL asks it about its own programs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS = 1, 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


def main(parent: int, uid: int, gid: int, capability: int, command: list[str]) -> None:
    """Never returns: the command takes over, with its process id and its open files as they were."""
    if uid != os.getuid():
        _become(uid, gid, capability)
    if sys.platform == "linux":
        # last of all: a change of user clears it
        _checked("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("whoever wanted this server is gone")
    os.execv(command[0], command)


def _become(uid: int, gid: int, capability: int) -> None:
    if capability >= 0:
        _checked("prctl", _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capability >= 0:
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        # effective, permitted, inheritable; then the same for the capabilities from 32 on
        _checked("capset", header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
        _checked("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _checked(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        raise OSError(ctypes.get_errno(), function)


if __name__ == "__main__":
    parent, uid, gid, capability = map(int, sys.argv[1:5])
    main(parent, uid, gid, capability, sys.argv[5:])
