"""What the package stands on: floors, pins, workflows, the bill of materials and the audit."""

import http.server
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.supply import lists, reason, strip
from tests.test_house import imports

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line]
# the first versions without a fault that would matter here, and which fault
SAFE_FROM = {
    "torch": ("2.10", "CVE-2026-24747: weights_only could be made to write anywhere in memory"),
    "lightning": ("2.6.6", "CVE-2026-58659: checkpoints ran code in spite of weights_only"),
    "pytorch-lightning": ("2.6.6", "CVE-2026-58659"),
    "timm": ("1.0.26", "weights_only was off by default"),
    "mlflow": ("3.16", "CVE-2026-71211, and before 3.13 CVE-2026-8147: requests past the rights"),
    "pyarrow": ("23.0.1", "CVE-2026-25087: use after free"),
    "filelock": ("3.20.3", "CVE-2026-22701: follows a link that another user makes"),
    "jinja2": ("3.1.6", "CVE-2025-27516: out of the sandbox"),
    "scikit-learn": ("1.5", "CVE-2024-5206"),
    "gradio": ("6.16", "GHSA-j36p-7w88-g82j, CVE-2026-48545, CVE-2026-28416: files, cookies, SSRF"),
    "pillow": ("12.3", "CVE-2026-54059, CVE-2026-25990: pictures that write past their memory"),
    "onnx": ("1.21", "CVE-2026-27489: files through links"),
    "ray": (
        "2.55",
        "CVE-2026-41486: Parquet files ran code; CVE-2026-32981: its dashboard",
    ),
    "transformers": ("5.10", "CVE-2026-4372, CVE-2026-5241, CVE-2026-9856: code without a yes"),
    "pytest": ("9.0.3", "CVE-2025-71176: temporary folders of known names"),
    "setuptools": ("78.1.1", "CVE-2025-47273"),
    "starlette": ("1.0.1", "CVE-2026-48710: the header Host moved a request past checks"),
    "requests": ("2.33", "CVE-2026-25645"),
    "urllib3": ("2.7", "CVE-2026-44431"),
    "aiohttp": ("3.14.3", "CVE-2026-69244"),
    "cryptography": ("50", "CVE-2026-69247"),
    "gitpython": ("3.1.47", "GHSA-rpm5-65cw-6hj4"),
}


def required() -> list[Requirement]:
    """Everything that pyproject.toml names: the package, its extras, its build."""
    project = PROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = project["dependencies"] + extras + PROJECT["build-system"]["requires"]
    return [Requirement(line) for line in lines]


def pinned(name: str) -> list[str]:
    """The versions of a package in constraints.txt: one, or one for each of several Pythons."""
    name = canonicalize_name(name)
    return [str(p.specifier).removeprefix("==") for p in PINS if canonicalize_name(p.name) == name]


def test_the_pins_are_what_the_project_asks_for():
    for requirement in required():
        versions = pinned(requirement.name)
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_neither_floors_nor_pins_have_a_known_fault():
    floors = {
        canonicalize_name(requirement.name): Version(specifier.version)
        for requirement in required()
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    for name, (first, fault) in SAFE_FROM.items():
        assert pinned(name), name
        assert min(map(Version, pinned(name))) >= Version(first), (name, fault)
        assert floors.get(name, Version(first)) >= Version(first), (name, fault)


def test_the_reasons_why_advisories_are_accepted_still_hold():
    assert not (ROOT / "MANIFEST.in").exists()
    for file in (ROOT / "gtzan_lightning").rglob("*.py"):
        assert "torch.jit" not in file.read_text(), file


def test_no_file_is_read_in_a_way_that_runs_its_code():
    """As SECURITY.md says."""
    refused = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
    switches = r"allow_pickle|trust_remote_code=True|yaml\.(unsafe|full|C?Loader|Full|Unsafe)"
    for file in (ROOT / "gtzan_lightning").rglob("*.py"):
        text = file.read_text()
        assert not refused & imports(file), file
        assert not re.search(switches, text), file
        for call in re.findall(r"torch\.load\((.*)", text):
            assert "weights_only=True" in call, file


@pytest.mark.parametrize("file", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=str)
def test_workflows_may_read_only_and_name_what_they_run_exactly(file):
    text = file.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)
    targets = re.findall(r"make ([\w-]+)", text)
    assert targets
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_the_audit_runs_weekly_and_when_a_dependency_changes():
    workflow = yaml.safe_load((ROOT / ".github/workflows/supply.yml").read_text())
    when = workflow[True]  # YAML reads `on` so
    assert re.fullmatch(r"\d+ \d+ \* \* \d", when["schedule"][0]["cron"])
    assert {"pyproject.toml", "constraints.txt"} <= set(when["pull_request"]["paths"])
    assert all((ROOT / path).exists() for path in when["pull_request"]["paths"])


def test_the_server_for_a_team_has_the_pinned_versions():
    image = (ROOT / "experiments/server/Dockerfile").read_text()
    named = re.findall(r"([a-z]+)(?:\[\w+\])?==([\d.]+)", image)
    assert dict(named) == {name: pinned(name)[0] for name in ("mlflow", "psycopg")}


def test_a_bill_says_nothing_of_where_a_package_came_from():
    told = {"comment": "from packaging metadata: Home-page", "url": "https://timm.example"}
    private = {"comment": "PackageSource: Local", "url": "file:///home/someone/timm"}
    mirror = {"comment": "implicit dist url", "url": "https://mirror.lan/simple/timm"}
    component = {"name": "timm", "externalReferences": [private, told, mirror]}
    strip(component)
    assert component == {"name": "timm", "externalReferences": [told]}
    component = {"name": "timm", "externalReferences": [private]}
    strip(component)
    assert component == {"name": "timm"}


def test_pins_of_several_pythons_are_audited_apart(tmp_path):
    files = [file.read_text().splitlines() for file in lists(tmp_path)]
    assert sorted(line for file in files for line in file) == sorted(
        f"{pin.name}{pin.specifier}" for pin in PINS
    )
    for file in files:
        names = [line.partition("==")[0] for line in file]
        assert len(set(names)) == len(names)


def test_of_an_error_of_the_network_the_reason_is_told():
    layers = "Pool(host='h'): Max retries (Caused by NameError(\"Pool: no such host (-2)\"))"
    assert reason(f"Traceback\nConnectionError: {layers}") == "no such host (-2)"
    assert reason("Traceback\nValueError: x") == "ValueError: x"
    assert reason("") == "no reason given"


@pytest.fixture(scope="module")
def tools() -> str:
    """Python of the environment with pip-audit and cyclonedx-bom."""
    words = ["make", "--silent", f"PYTHON={sys.executable}", "build/tools/ready"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the tools can't be installed: {done.stderr.splitlines()[-1]}")
    return str(ROOT / "build/tools/bin/python")


@pytest.mark.many
def test_the_bill_names_every_pin_and_no_place_of_this_machine(tools, tmp_path):
    out = tmp_path / "made" / "sbom.json"
    words = [tools, "tests/supply.py", "sbom", "--python", sys.executable, "--out", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # it validates against CycloneDX's schema
    text = out.read_text()
    bill = json.loads(text)
    have = {(canonicalize_name(c["name"]), c["version"]) for c in bill["components"]}
    for pin in PINS:
        for version in pinned(pin.name):
            assert (canonicalize_name(pin.name), version) in have
    assert bill["metadata"]["component"]["name"] == "gtzan-lightning"
    needs = {d["ref"]: d.get("dependsOn", []) for d in bill["dependencies"]}
    assert any(ref.startswith("torch==") for ref in needs[f"timm=={pinned('timm')[0]}"])
    for place in ("file:", str(ROOT), sys.prefix, str(Path.home()), "/simple"):
        assert place not in text


@pytest.mark.many
def test_an_environment_that_is_not_the_pinned_one_has_no_bill(tools, tmp_path):
    out = tmp_path / "sbom.json"
    words = [tools, "tests/supply.py", "sbom", "--python", tools, "--out", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r".* does not hold the pinned [\w-]+: make env\n", done.stderr)
    assert not out.exists()


@pytest.fixture
def osv() -> Iterator[tuple[str, list[str]]]:
    """Address of a server with two advisories, and the names that it is asked for."""
    faults = {
        "torch": ("CVE-2025-3000", "2.12.1"),  # one that is accepted
        "rich": ("CVE-2999-1", "99.0"),
    }
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = body["package"]["name"]
            asked.append(f"{name}=={body['version']}")
            fault = faults.get(name)
            answer = json.dumps({"vulns": [advisory(name, *fault)]} if fault else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
        server.shutdown()


def advisory(name: str, fault: str, fixed: str) -> dict[str, object]:
    """As OSV answers."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    package = {"name": name, "ecosystem": "PyPI"}
    affected = [{"package": package, "ranges": ranges}]
    return {"id": fault, "summary": "a fault", "affected": affected, "aliases": []}


def run_audit(tools: str, address: str) -> tuple[int, str, str]:
    words = [tools, "tests/supply.py", "audit", "--osv", address]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.many
def test_the_audit_asks_for_every_pin_and_names_what_is_not_accepted(tools, osv):
    address, asked = osv
    (rich,) = pinned("rich")
    assert run_audit(tools, address) == (1, f"rich {rich}: CVE-2999-1, fixed in 99.0", "")
    assert sorted(asked) == sorted(f"{pin.name}{pin.specifier}" for pin in PINS)


@pytest.mark.many
def test_an_audit_that_reaches_nobody_says_so_and_fails(tools):
    code, said, complaints = run_audit(tools, "http://127.0.0.1:9/v1/query")
    assert (code, complaints) == (2, "")
    assert re.fullmatch(r"nothing was audited: no advisories from http://127.*refused\)", said)
