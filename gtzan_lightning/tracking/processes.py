"""Whether the process that is at work on something is still alive."""

import os
import socket

import psutil


def process_id() -> str:
    """This process, so that others on the machine can tell whether it lives: host:pid:start."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.0f}"


def is_alive(process: str) -> bool | None:
    """Whether the process of this ``process_id`` lives; None of another machine's, or of none."""
    host, _, start = process.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not (pid.isdigit() and start.isdigit()):
        return None
    try:
        # the number may have been given to another process since
        return abs(psutil.Process(int(pid)).create_time() - int(start)) < 2
    except psutil.NoSuchProcess:
        return False
