"""What the pinned set is made of, and whether an advisory names it: ``make sbom``, ``make audit``.

Both tools (cyclonedx-bom, pip-audit) live in an environment of their own, ``build/tools``: nobody
needs them to use the package. This file runs there and imports nothing of the package.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PINS = ROOT / "constraints.txt"
OSV = "https://api.osv.dev/v1/query"
JIT = "memory is corrupted by torch.jit.script, which this package never calls"
SDIST = "exclusions of a MANIFEST.in fail on macOS; this package has no such file"
# Advisories of pins that can't be raised, and why they don't matter here: torchaudio holds torch,
# which holds setuptools.
ACCEPTED = {
    "CVE-2025-3000": JIT,
    "PYSEC-2025-194": JIT,
    "CVE-2026-59890": SDIST,
    "PYSEC-2026-3447": SDIST,
}


def pins() -> list[Requirement]:
    """The lines of constraints.txt, where a package has a pin for each of several Pythons."""
    return [Requirement(line) for line in PINS.read_text().splitlines() if line]


def pinned(requirement: Requirement) -> str:
    """The version of ``NAME==VERSION``."""
    (specifier,) = requirement.specifier
    return specifier.version


def applies(pin: Requirement) -> bool:
    """Whether a pin is for this Python and system."""
    return not pin.marker or pin.marker.evaluate()


def needed() -> set[str]:
    """Names of what the package needs without any extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}


def bill(python: str, out: Path) -> str:
    """Write the bill of an environment that holds the pinned set.

    A pin that is not installed is in it as optional: of an extra, or for another Python or system.

    Raises:
        SystemExit: the environment has another version of a pin, or lacks what the package needs.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    project = str(ROOT / "pyproject.toml")
    made = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "environment", "--no-validate", "--short-PURLs",
         "--mc-type", "library", "--pyproject", project, python],
        capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"{python}: no bill could be made: {reason(made.stderr)}")
    found = json.loads(made.stdout)
    for component in found["components"]:
        strip(component)
    has = {canonicalize_name(c["name"]): Version(c["version"]).public for c in found["components"]}
    here = {canonicalize_name(p.name): pinned(p) for p in pins() if applies(p)}
    wrong = sorted(n for n, v in here.items() if has.get(n, v) != v) + sorted(needed() - set(has))
    if wrong:
        raise SystemExit(f"{python} does not hold the pinned {wrong[0]}: make env")
    for pin in pins():
        if not applies(pin) or canonicalize_name(pin.name) not in has:
            add_optional(found, pin)
    text = json.dumps(found, indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"the bill is no valid CycloneDX: {error}")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(text)
    part.replace(out)
    return f"{out}: {len(found['components'])} components, CycloneDX {found['specVersion']}"


def add_optional(found: dict[str, Any], pin: Requirement) -> None:
    """A pin that is not installed, without licence and dependencies, which nobody could look up."""
    version = pinned(pin)
    ref = f"{pin.name}=={version}"
    component = {"type": "library", "scope": "optional", "bom-ref": ref, "name": pin.name}
    purl = f"pkg:pypi/{canonicalize_name(pin.name)}@{version}"
    found["components"].append({**component, "version": version, "purl": purl})
    found["dependencies"].append({"ref": ref})


def strip(component: dict[str, Any]) -> None:
    """Leave out where a package came from: that may be a folder or a mirror's private address.

    What its authors wrote in its metadata stays.
    """
    references = component.pop("externalReferences", [])
    told = [r for r in references if r.get("comment", "").startswith("from packaging metadata")]
    if told:
        component["externalReferences"] = told


def audit(osv: str) -> tuple[int, str]:
    """Ask for advisories of every pin, also of those for other Pythons and systems.

    Returns:
        0 and a line; 1 and a line for each advisory; 2 and a line if not all pins were looked up.
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for file in lists(Path(folder)):
            done = ask(file, osv)
            try:
                answers += json.loads(done.stdout)["dependencies"]
            except ValueError:
                return 2, f"nothing was audited: no advisories from {osv} ({reason(done.stderr)})"
    asked = {(canonicalize_name(pin.name), pinned(pin)) for pin in pins()}
    missing = asked - {(canonicalize_name(a["name"]), a.get("version")) for a in answers}
    if missing:
        return 2, f"{len(missing)} of {len(asked)} pins were not audited, as {min(missing)}"
    named = [
        f"{a['name']} {a['version']}: {v['id']}, fixed in {', '.join(v['fix_versions']) or 'none'}"
        for a in answers
        for v in a["vulns"]
    ]
    if named:
        return 1, "\n".join(named)
    return 0, f"{len(asked)} pins, no advisory but the {len(ACCEPTED)} accepted in tests/supply.py"


def ask(file: Path, osv: str) -> subprocess.CompletedProcess[str]:
    """What pip-audit says of a list of pins, as JSON unless it fails."""
    ignored = [word for name in ACCEPTED for word in ("--ignore-vuln", name)]
    return subprocess.run(
        [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json",
         "--progress-spinner", "off", "--vulnerability-service", "osv", "--osv-url", osv,
         "--requirement", str(file), *ignored],
        capture_output=True, text=True,
    )  # fmt: skip


def lists(folder: Path) -> list[Path]:
    """The pins without conditions in files that name a package once, as pip-audit wants them."""
    files: list[dict[str, str]] = []
    for pin in pins():
        file = next((f for f in files if pin.name not in f), None)
        if file is None:
            files.append(file := {})
        file[pin.name] = pinned(pin)
    paths = [folder / f"{number}.txt" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_text("".join(f"{name}=={version}\n" for name, version in file.items()))
    return paths


def reason(text: str) -> str:
    """Of an error; of one of the network, which names each of its layers, the reason."""
    line = (text.strip().splitlines() or ["no reason given"])[-1]
    cause = re.search(r"Caused by (.*)", line)
    return (re.sub(r"[\"']\)+$", "", cause[1].split(": ")[-1]) if cause else line)[:200]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("sbom", help="write what an environment consists of, as CycloneDX")
    one.add_argument("--python", required=True, help="the environment's interpreter")
    one.add_argument("--out", type=Path, required=True)
    other = commands.add_parser("audit", help="ask OSV for advisories of constraints.txt")
    other.add_argument("--osv", default=OSV, help="another address with OSV's interface")
    given = parser.parse_args()
    if given.command == "sbom":
        print(bill(given.python, given.out))
    else:
        code, said = audit(given.osv)
        print(said)
        sys.exit(code)


if __name__ == "__main__":
    main()
