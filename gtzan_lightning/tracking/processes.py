"""Whether the process that left a mark is still alive."""

import os
import socket

import psutil


def mark() -> str:
    """This process, so that others on the machine can tell whether it lives: host:pid:start."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.0f}"


def is_alive(mark: str) -> bool | None:
    """None where the mark is of another machine, or is none."""
    host, _, rest = mark.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not (pid.isdigit() and rest.isdigit()):
        return None
    try:
        # the number may have been given to another process since
        return abs(psutil.Process(int(pid)).create_time() - int(rest)) < 2
    except psutil.NoSuchProcess:
        return False
