"""The page's password: where it comes from, and how long the next guess waits."""

import hmac
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from gtzan_lightning.errors import UserError

USER = "gtzan"
VARIABLE = "GTZAN_PASSWORD"
LONGEST = 4096  # bytes of a password's file
FREE = 20  # wrong guesses of all addresses together that delay nobody else
DELAYS = {"one": 300.0, "all": 1.0}  # seconds between guesses at most, of an address and of all
PATIENCE = 30.0  # seconds that a guess is kept waiting, longer ones are refused
FORGOTTEN = 3600.0  # seconds without a guess after which an address begins anew
MOST = 1000  # addresses in the table, the oldest makes room


def read_password(file: str | None) -> str | None:
    """The first line of a file, else what GTZAN_PASSWORD says, else none.

    The variable is taken out of the environment: no process that this one starts inherits it.

    Raises:
        UserError: the file can't be read, is empty, or others may read it; the variable is empty.
    """
    variable = os.environ.pop(VARIABLE, None)
    if file is None:
        if variable == "":
            raise UserError(f"{VARIABLE} is empty: give it a password, or unset it")
        return variable
    try:
        with Path(file).open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise UserError(f"{file} can be read by others: chmod 600 {file}")
            line = opened.readline(LONGEST).decode().rstrip("\r\n")
    except OSError as error:
        raise UserError(f"--password-file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"--password-file {file}: its first line is no text in UTF-8") from None
    if not line:
        raise UserError(f"--password-file {file}: its first line is empty") from None
    return line


def checker(password: str) -> Callable[[str, str], bool]:
    """Says whether a name and a password are right, in the same time for any wrong one."""
    right = password.encode()

    def is_right(name: str, guess: str) -> bool:
        known = hmac.compare_digest(name.encode(errors="replace"), USER.encode())
        return hmac.compare_digest(guess.encode(errors="replace"), right) and known

    return is_right


@dataclass
class _Guesser:
    count: int = 0
    free_at: float = 0.0  # when the next guess may be checked


class Guesses:
    """Guesses are checked one after another, after a wait that doubles with each wrong one.

    A guess counts as wrong from the moment it comes, so that many at once wait for each other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._one: OrderedDict[str, _Guesser] = OrderedDict()
        self._all = _Guesser()

    def take(self, address: str) -> float | None:
        """Seconds until a guess from an address may be checked; None: too many, refuse it."""
        now, key = self._clock(), _network(address)
        one = self._one.setdefault(key, _Guesser())
        for guesser in (one, self._all):
            if now > guesser.free_at + FORGOTTEN:
                guesser.count = 0
        wait = max(0.0, one.free_at - now, self._all.free_at - now)
        self._one.move_to_end(key)
        if len(self._one) > MOST:
            self._one.popitem(last=False)
        if wait > PATIENCE:
            return None
        one.count += 1
        self._all.count += 1
        one.free_at = now + wait + min(2.0 ** (one.count - 1), DELAYS["one"])
        extra = 0.1 * max(0, self._all.count - FREE)
        self._all.free_at = max(now, self._all.free_at) + min(extra, DELAYS["all"])
        return wait

    def right(self, address: str) -> None:
        """The guess was right: the address begins anew."""
        self._one.pop(_network(address), None)
        self._all.count = max(0, self._all.count - 1)


def _network(address: str) -> str:
    """An address, of IPv6 its /64: a machine has all of those."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(int(known) >> 64) if isinstance(known, IPv6Address) else address
