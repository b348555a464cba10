"""The console's own CA in the Deploy panel, apart from the CA of gateways, which clients download."""

import hashlib
import ssl
from io import StringIO
from pathlib import Path

import certifi
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from console.machines import console_ca, pki
from console.models import Gateway
from tests.edge.gateway_pki import Authority

pytestmark = pytest.mark.django_db


@pytest.fixture
def authority() -> Authority:
    return Authority()


def chain(folder: Path, authority: Authority, *more: bytes) -> str:
    """Leave a chain as ``serve --tls-certificate`` takes it; return the file's name."""
    file = folder / "chain.pem"
    file.write_bytes(authority.issue(["console.corp.test"])[1] + b"".join(more))
    return str(file)


def panel(client: Client, gateway: Gateway) -> str:
    return client.post(f"/gateways/{gateway.pk}/deploy/").text


def test_a_console_that_everybody_trusts_has_the_short_command(
    administrator_client: Client, client: Client, gateway: Gateway
) -> None:
    page = panel(administrator_client, gateway)
    assert "<code>curl -fsSL http" in page and "cacert" not in page
    assert client.get("/deploy/console-ca.pem").status_code == 404


def test_a_chain_with_its_ca_gives_the_command_a_digest(
    tmp_path: Path,
    authority: Authority,
    settings: Settings,
    administrator_client: Client,
    client: Client,
    gateway: Gateway,
) -> None:
    settings.TLS_CERTIFICATE = chain(tmp_path, authority, authority.pem)
    fetched = client.get("/deploy/console-ca.pem")
    assert fetched.status_code == 200 and fetched.content == authority.pem
    page = panel(administrator_client, gateway)
    assert hashlib.sha256(fetched.content).hexdigest() in page and "--cacert causeway-console-ca.pem" in page
    settings.WHEEL_DIR = tmp_path
    (tmp_path / "causeway-1.0-py3-none-any.whl").write_bytes(b"wheel")
    assert f"CONSOLE_CA='{authority.pem.decode()}'" in client.get("/deploy/gateway.sh").text.replace(
        "\n'", "\n'"
    )


def test_a_chain_without_its_ca_asks_for_the_file(
    tmp_path: Path, authority: Authority, settings: Settings, administrator_client: Client, gateway: Gateway
) -> None:
    settings.TLS_CERTIFICATE = chain(tmp_path, authority)
    page = panel(administrator_client, gateway)
    assert "was issued by CN=Test CA" in page and "CAUSEWAY_TLS_CA" in page and "cacert" not in page
    (tmp_path / "ca.pem").write_bytes(b"Corp CA, for everybody\n" + authority.pem)
    settings.TLS_CA = str(tmp_path / "ca.pem")
    page = panel(administrator_client, gateway)
    assert "was issued by" not in page and "cacert" in page
    assert console_ca.console_ca().encode() == authority.pem, "what stands around it is left out"
    settings.TLS_CA = str(tmp_path / "gone.pem")
    assert "CAUSEWAY_TLS_CA names" in panel(administrator_client, gateway)


def test_a_certificate_that_signed_itself_is_its_own_ca(tmp_path: Path, settings: Settings) -> None:
    own = Authority()
    (tmp_path / "own.pem").write_bytes(own.pem)
    settings.TLS_CERTIFICATE = str(tmp_path / "own.pem")
    assert console_ca.console_ca().encode() == own.pem and not console_ca.problem()


def test_a_public_ca_is_not_carried(tmp_path: Path, settings: Settings) -> None:
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store.load_verify_locations(cafile=certifi.where())
    public = store.get_ca_certs(binary_form=True)[0]
    (tmp_path / "public.pem").write_text(ssl.DER_cert_to_PEM_cert(public))
    settings.TLS_CERTIFICATE = str(tmp_path / "public.pem")
    assert console_ca.console_ca() == "" and console_ca.problem() == ""


def test_a_renewed_chain_is_read_anew(tmp_path: Path, authority: Authority, settings: Settings) -> None:
    settings.TLS_CERTIFICATE = chain(tmp_path, authority, authority.pem)
    assert console_ca.console_ca().encode() == authority.pem
    other = Authority()
    (tmp_path / "next").mkdir()
    Path(chain(tmp_path / "next", other, other.pem, b"\n")).replace(settings.TLS_CERTIFICATE)
    assert console_ca.console_ca().encode() == other.pem


def test_the_gateways_ca_is_for_everybody_to_download(client: Client, viewer_client: Client) -> None:
    answer = client.get("/deploy/gateways-ca.pem")
    assert answer.text == pki.ca_pem() and 'filename="causeway-ca.pem"' in answer["Content-Disposition"]
    assert 'href="/deploy/gateways-ca.pem"' in viewer_client.get("/gateways/").text


def test_the_command_prints_the_gateways_ca() -> None:
    output = StringIO()
    call_command("ca", "show", "--pem", stdout=output)
    assert output.getvalue() == pki.ca_pem()
    with pytest.raises(CommandError, match="--pem goes with show alone"):
        call_command("ca", "add", "--pem", stdout=output)
