"""The server of the web page: its socket, its names and its limits."""

import ctypes
import logging
import socket
from errno import EADDRINUSE

import psutil
import uvicorn
from starlette.types import ASGIApp

from gtzan_lightning.errors import UserError

LOCAL = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")
CONNECTIONS = 1000  # at once


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError where it can't, such as at a port in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OverflowError:
        raise UserError(f"--port {port}: from 0 to 65535") from None
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise UserError(f"port {port} is in use: name another one with --port") from None
        raise UserError(f"can't listen at {host}, port {port}: {error.strerror}") from None


def own_names(host: str) -> set[str]:
    """As whom a page at ``host`` is known on this machine: names and addresses."""
    names = {*LOCAL, host}
    if host in EVERYWHERE:
        names.add(socket.gethostname())
        addresses = (each for all_of in psutil.net_if_addrs().values() for each in all_of)
        names |= {a.address.partition("%")[0] for a in addresses if a.family != psutil.AF_LINK}
    return names


def share_memory() -> None:
    """Let all threads take their memory from two places, where the C library is glibc's.

    Each of gradio's 40 threads would keep what it once took: a hundred listeners after another
    hundred took 50 MB more each time.
    """
    arena_max = -8  # malloc.h
    try:
        ctypes.CDLL(None).mallopt(arena_max, 2)
    except (AttributeError, OSError, TypeError):
        return


def run(app: ASGIApp, at: socket.socket) -> None:
    """Serve until a signal ends the process."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # a line a broken upload
    config = uvicorn.Config(
        app, ws="none", log_level="critical", access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_keep_alive=60, timeout_graceful_shutdown=1,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[at])
