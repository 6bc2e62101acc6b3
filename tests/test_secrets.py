"""Passwords and tokens in addresses: in nothing that is said or recorded."""

import re

import pytest
from conftest import quick_flags

from gtzan_lightning.commands import app, compare, doctor, run, runs
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.access import bare_address

SECRET = "s3cretw0rd"
ADDRESSES = [
    f"http://user:{SECRET}@127.0.0.1:9",
    f"http://{SECRET}@127.0.0.1:9",
    f"http://127.0.0.1:9/?token={SECRET}",
    f"http://127.0.0.1:9/mlflow?a=b&access_token={SECRET}&c=d",
]


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("postgresql://u:a/b@c@host/d", "postgresql://u:***@host/d"),
        ("postgresql:///d?password=x&host=h", "postgresql:///d?password=***&host=h"),
        ("password=x host=h", "password=*** host=h"),
        ("http://host:5000/a b@c", "http://host:5000/a b@c"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("https://h/?token=x&a=1, said h", "https://h/?token=***&a=1, said h"),
        ("s3://b/k?X-Amz-Signature=x;sig=y#key=z", "s3://b/k?X-Amz-Signature=***;sig=***#key=***"),
        ("Authorization: Bearer x.y", "Authorization: Bearer ***"),
        ("hf_abcdefghijkl is no token", "*** is no token"),
        ("set RAY_AUTH_MODE=token; tokens=3", "set RAY_AUTH_MODE=token; tokens=3"),
    ],
)
def test_what_is_secret_is_not_shown(text, without):
    assert shown(text) == without


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_command_says_what_is_secret_in_the_address_of_the_store(
    address, packed, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setattr("sys.argv", ["gtzan"])
    flags = quick_flags(packed, tmp_path)
    where = flags.index("--track.uri")
    flags = flags[:where] + flags[where + 2 :]
    said = ""
    for command, given in (
        (run, flags), (runs, []), (compare, []), (doctor, ["--offline"]), (app, ["--run", "last"])
    ):  # fmt: skip
        try:
            command.main(given)
        except UserError as error:
            said += str(error)
    output = capfd.readouterr()
    said += output.out + output.err
    assert "127.0.0.1:9" in said
    assert SECRET not in said
    assert SECRET not in bare_address(address)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_a_secret_is_not_taken_where_it_is_recorded(address, packed, tmp_path):
    flags = [*quick_flags(packed, tmp_path), "--track.uri", address]
    with pytest.raises(UserError, match=re.escape("MLFLOW_TRACKING_URI")) as refused:
        parse_run(flags)
    assert SECRET not in str(refused.value)
