"""MLflow's client of a store that can be used; what it and its database say becomes one line."""

import contextlib
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

import mlflow
from sqlalchemy.exc import SQLAlchemyError

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.database import check_database, file_of, is_missing
from gtzan_lightning.tracking.moved import say_moved
from gtzan_lightning.tracking.place import store_uri

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the spool tries again
}
LEVELS = {
    "mlflow": logging.WARNING,
    "mlflow.pyfunc": logging.ERROR,
    "mlflow.store.db.utils": logging.CRITICAL,  # prints the stack of every error that it raises
}


@contextlib.contextmanager
def mlflow_settings() -> Iterator[None]:
    """MLflow's client gives up soon and says little; the process is as before when it ends."""
    added = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    before = {name: logging.getLogger(name).level for name in LEVELS}
    os.environ.update(added)
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def reading_client(track: TrackSettings) -> Iterator[mlflow.MlflowClient]:
    """Of the runs' own store: MLflow's store of the whole process stays what it is.

    Raises:
        UserError: there is no store yet, it can't be used, or its server does not answer.
    """
    uri = store_uri(track)
    if is_missing(uri):
        raise UserError(f"there are no runs in {track.folder}: train one with experiments/run.py")
    check_store(uri, writes=False)
    say_moved(track)
    with mlflow_settings(), told(uri):
        yield mlflow.MlflowClient(uri)


@contextlib.contextmanager
def told(uri: str) -> Iterator[None]:
    """Raises UserError for what MLflow or its database refuse in the block."""
    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError) as error:
        raise UserError(complaint(uri, error)) from None


def complaint(uri: str, error: Exception) -> str:
    """What a store refused, and what to do, on one line."""
    if "database schema" in str(error):
        return (
            f"the MLflow store {shown(uri)} is of another version than MLflow {mlflow.__version__}:"
            f" if it is older, back it up and run mlflow db upgrade {shown(uri)}; if it is newer, "
            "update mlflow"
        )
    mend = "make room" if "is full" in str(error) else "mend it"
    other = "name another folder with track.folder" if file_of(uri) else "take track.uri local"
    return f"the MLflow store {shown(uri)} can't be used ({reason(error)}): {mend}, or {other}"


def reason(error: Exception) -> str:
    """What an error says, on one line, without passwords, SQL and advertisement."""
    text = str(error).partition("[SQL:")[0].partition("(Background on")[0]
    return shown(in_a_line(text))


def check_store(uri: str, writes: bool) -> None:
    """Raises UserError where the store's file can't be used, or its server does not answer."""
    check_database(uri, writes)
    check_server(uri)


def check_server(uri: str) -> None:
    """MLflow's own client would retry for minutes before it says that nobody answers."""
    if not uri.startswith("http"):
        return
    bare = bare_address(uri)
    try:
        urllib.request.urlopen(f"{bare}/health", timeout=5).close()
    except urllib.error.HTTPError:
        pass  # an answer, if only of a proxy in front: the client will say more
    except (OSError, HTTPException, ValueError) as error:
        said = getattr(error, "reason", error)
        raise UserError(
            f"the MLflow server {bare} does not answer ({said}): start it, or record without it "
            "by track.uri local"
        ) from None


def bare_address(uri: str) -> str:
    """A server's address without secrets: MLflow sends name and password, urllib can't."""
    return re.sub(r"://\S*@", "://", uri).partition("?")[0].rstrip("/")
