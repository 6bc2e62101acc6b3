"""Files of others: what is refused, and the one line that says where."""

import gzip
import os

import pytest
from pydantic import BaseModel

from gtzan_lightning.errors import LONGEST, UserError
from gtzan_lightning.recipe import bounded
from gtzan_lightning.recipe.bounded import bytes_of, check_plain, csv_of, yaml_of
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.recipes import SECTIONS, Recipe

LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "line 1 is no plain YAML: anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]", "tags such as tag:yaml.org,2002:python"),
        ("fit: {a: 1}\nfit: {b: 1}", "line 2 is no plain YAML: 'fit' is given twice"),
        ("a: " + "[" * 9, "nested more than 8 deep"),
        ("a: 2024-99-99", "month must be in"),
        ("a: " + "9" * 5000, "digits"),
        ("a: 0x_", "invalid literal"),
        ("a: .inf", "a is no number in range"),
        ("a: {b: 1.0e+999}", r"a\.b is no number in range"),
        ("? [a]\n: b", "a name must be a word"),
        ("a: \x00", "a zero byte"),
        ("a: \x07", "special characters"),
        ("a: " + "x" * 10_001, "more than 10,000 characters"),
    ],
)
def test_yaml_that_is_not_plain(tmp_path, text, said):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=f"recipe {file}.*{said}"):
        yaml_of(file, "recipe")


def test_files_that_are_none_or_too_large(tmp_path, monkeypatch):
    pipe, bomb, latin = (tmp_path / name for name in ("pipe.csv", "bomb.csv.gz", "latin.csv"))
    os.mkfifo(pipe)  # reading it would wait for ever
    bomb.write_bytes(gzip.compress(bytes(10**7)))
    latin.write_bytes(b"song\nM\xfcller\n")
    for file, said in (
        (pipe, "it is no regular file"),
        (tmp_path, "it is a folder"),
        (tmp_path / "none", "No such file"),
        (bomb, "has more than 1,000 bytes"),
        (latin, "line 2: it is no UTF-8 text"),
    ):
        with pytest.raises(UserError, match=said):
            csv_of(file, "table", 1000)
    latin.write_bytes(b"\xef\xbb\xbfsong\r\na\r\n\r\n")
    assert csv_of(latin) == [{"song": "a"}]  # as spreadsheets write it
    latin.write_bytes(b"song,song\na,b\n")
    with pytest.raises(UserError, match="the header has 'song' twice"):
        csv_of(latin)
    latin.write_bytes(b"song,part\na\n")
    with pytest.raises(UserError, match="line 2: 1 cells, but 2 columns"):
        csv_of(latin)
    monkeypatch.setattr(bounded, "PARTS", 3)
    with pytest.raises(UserError, match="has more than 3 values"):
        check_plain([0, 1, 2, 3], "it")
    assert bytes_of(latin, "", 20) == b"song,part\na\n"


def test_values_that_share_their_parts_are_counted_as_often_as_they_are_reached():
    value: object = "x"
    for _ in range(8):
        value = [value] * 100
    with pytest.raises(UserError, match="has more than 20,000 values"):
        check_plain(value, "it")
    with pytest.raises(UserError, match="must be text, numbers or lists of them, not object"):
        check_plain({"a": object()}, "it")


def test_a_message_is_one_line_that_a_terminal_can_show():
    assert str(UserError("a\nb\u2028\x1b[31m\ud800ü")) == r"a\nb\u2028\x1b[31m\ud800ü"
    assert len(str(UserError("x" * 10**6))) < LONGEST + 10


@pytest.mark.parametrize("cls", [Recipe, *SECTIONS.values(), *MODEL_SETTINGS.values()])
def test_every_number_has_both_bounds(cls: type[BaseModel]):
    """Else a recipe may ask for any memory."""

    def unbounded(schema, name):
        kind = schema.get("type")
        if kind in ("integer", "number") and not {"enum", "const"} & set(schema):
            ends = [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}]
            yield from [name] * (not all(end & set(schema) for end in ends))
        if kind == "array" and "prefixItems" not in schema and "maxItems" not in schema:
            yield f"{name} (its length)"
        inside = [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
        inside += [schema["items"]] if isinstance(schema.get("items"), dict) else []
        for part in inside:
            yield from unbounded(part, name)

    fields = cls.model_json_schema()["properties"]
    loose = [each for name, schema in fields.items() for each in unbounded(schema, name)]
    # a width of mn is one of five, a logger one of two
    assert [name for name in loose if name not in ("width", "also (its length)")] == []
