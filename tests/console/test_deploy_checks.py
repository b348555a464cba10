"""What ``manage.py check --deploy`` says of what stands before the console."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from console.checks import machines_trust_the_console, what_stands_before_the_console
from tests.edge.gateway_pki import Authority


@pytest.mark.parametrize(
    ("certificate", "key", "proxy", "found"),
    [
        ("", "", False, ["causeway.I001"]),
        ("", "", True, ["causeway.I001"]),
        ("c.pem", "", False, ["causeway.W002"]),
        ("c.pem", "k.pem", False, []),
    ],
)
def test_a_console_without_its_front_is_told_what_a_proxy_must_do(
    settings: LazySettings, certificate: str, key: str, proxy: bool, found: list[str]
) -> None:
    settings.TLS_CERTIFICATE, settings.TLS_KEY, settings.TRUSTED_PROXY = certificate, key, proxy
    messages = what_stands_before_the_console(None)
    assert [each.id for each in messages] == found
    for each in messages:
        assert each.hint and (each.id != "causeway.I001" or "proxy_request_buffering" in each.hint)


def test_a_ca_that_machines_cannot_be_given_is_warned_of(tmp_path: Path, settings: LazySettings) -> None:
    file = tmp_path / "leaf.pem"
    file.write_bytes(Authority().issue(["console.corp.test"])[1])
    settings.TLS_CERTIFICATE = str(file)
    (told,) = machines_trust_the_console(None)
    assert told.id == "causeway.W003" and "CAUSEWAY_TLS_CA" in told.msg
