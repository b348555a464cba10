"""Programs as their users have them, straight through a gateway and by ``causeway connect``, to applications.

git, ssh, psql and a browser are in test_recipes.py.
"""

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import grpc
import httpx
import pytest
import requests
import urllib3
from websockets.sync.client import connect as websocket

from tests.demo import Demo, clean_environment
from tests.e2e.programs import Web, World, debian_archive, python_index, redis_server, world
from tests.e2e.recipes import program, run

CLIENTS = Path(__file__).parent / "clients"
WAYS = pytest.mark.parametrize("way", ["gateway", "connect"])


@pytest.fixture(scope="module")
def there(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(demo, tmp_path_factory.mktemp("programs")) as made:
        yield made


def curl(there: World, way: str, *options: str) -> list[str]:
    """Return the status of the plain and the secure application, for each version of HTTP that curl speaks."""
    trust = ["--cacert", str(there.ca), "--proxy-cacert", str(there.ca)]
    command = [program("curl"), "-sS", "--proxy", there.proxy(way), *trust, *options]
    output = ["-o", "/dev/null", "-w", "%{http_code} "]
    return run(*command, *output, there.plain, *output, there.secure).split()


@WAYS
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl(there: World, way: str, version: str) -> None:
    assert curl(there, way, version) == ["200", "200"]


def test_curl_that_speaks_http_1_0_to_the_proxy(there: World) -> None:
    proxy = there.client.proxy.removeprefix("http://")
    assert curl(there, "connect", "--proxy1.0", proxy) == ["200", "200"]


def test_curl_that_speaks_http_2_to_the_proxy(there: World) -> None:
    if "--proxy-http2" not in run(program("curl"), "--help", "all"):
        pytest.skip("this curl does not speak HTTP/2 to proxies; 8.1 and later do")
    assert curl(there, "gateway", "--proxy-http2") == ["200", "200"]


# The program does not check the proxy's certificate for a plain URL.
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request:urllib3.exceptions.InsecureRequestWarning")
@WAYS
def test_requests(there: World, way: str) -> None:
    proxy = there.proxy(way)
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(there.ca)
        session.proxies = {"http": proxy, "https": proxy}
        for url in (there.plain, there.secure):
            assert session.get(url, timeout=30).text == "hello by GET\n"
            assert session.post(url, data=b"ab", timeout=30).status_code == 200


@WAYS
def test_urllib3(there: World, way: str) -> None:
    headers = urllib3.make_headers(proxy_basic_auth=":".join(there.user)) if way == "gateway" else None
    proxy = there.proxy(way, credentials=False)
    with urllib3.ProxyManager(proxy, proxy_headers=headers, ca_certs=str(there.ca)) as manager:
        for url in (there.plain, there.secure):
            assert manager.request("GET", url, timeout=30, retries=False).status == 200


@WAYS
def test_httpx(there: World, way: str) -> None:
    proxy = httpx.Proxy(there.proxy(way), ssl_context=there.trust() if way == "gateway" else None)
    with httpx.Client(proxy=proxy, verify=there.trust(), trust_env=False, timeout=30) as client:
        assert [client.get(url).status_code for url in (there.plain, there.secure)] == [200, 200]


@WAYS
def test_aiohttp(there: World, way: str) -> None:
    async def ask() -> list[int]:
        async with aiohttp.ClientSession() as session:
            found = []
            for url in (there.plain, there.secure):
                async with session.get(url, proxy=there.proxy(way), ssl=there.trust()) as answer:
                    found.append(answer.status)
            return found

    with ThreadPoolExecutor(1) as pool:  # Playwright keeps a loop in the thread of the tests
        assert pool.submit(asyncio.run, ask()).result(60) == [200, 200]


def test_urllib_by_the_environment(there: World) -> None:
    handlers = (
        urllib.request.ProxyHandler({"http": there.client.proxy, "https": there.client.proxy}),
        urllib.request.HTTPSHandler(context=there.trust()),
    )
    opener = urllib.request.build_opener(*handlers)
    for url in (there.plain, there.secure):
        with opener.open(url, timeout=30) as answer:
            assert answer.status == 200


@WAYS
def test_pip(there: World, way: str, tmp_path: Path) -> None:
    package = python_index(there.served) if not (there.served / "simple").exists() else "programs-sample"
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--quiet"]
    index = ["--no-deps", "--no-cache-dir", "--retries", "0", "--index-url", f"{there.secure}/simple/"]
    # A bundle that this machine names for all programs would count more than ours.
    own = {name: value for name, value in clean_environment().items() if not name.endswith("_CA_BUNDLE")}
    where: list[str | Path] = ["--cert", there.ca, "--proxy", there.proxy(way), "--dest", tmp_path]
    run(*pip, *index, *where, package, env=own)
    assert len(list(tmp_path.glob("*.whl"))) == 1


@WAYS
def test_apt(there: World, way: str, tmp_path: Path) -> None:
    apt, dpkg = program("apt-get"), program("dpkg-deb")
    exists = (there.served / "debian").exists()
    package = "programs-sample" if exists else debian_archive(there.served, dpkg)
    for folder in ("state/lists/partial", "cache/archives/partial", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/sources.list").write_text(f"deb [trusted=yes] {there.plain}/debian ./\n")
    (tmp_path / "state/status").touch()
    options = {
        "Dir::State": tmp_path / "state",
        "Dir::State::status": tmp_path / "state/status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc": tmp_path / "etc",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "0",
        "Acquire::http::Proxy": there.proxy(way),
        "Acquire::https::CaInfo": there.ca,
    }
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    run(apt, *given, "update", "--error-on=any", env=clean_environment())
    run(apt, *given, "download", package, cwd=tmp_path, env=clean_environment())
    assert len(list(tmp_path.glob("*.deb"))) == 1


@WAYS
def test_node(there: World, way: str) -> None:
    secure = there.secure.removeprefix("https://")
    authorization = there.authorization if way == "gateway" else ""
    proxy = there.proxy(way, credentials=False)
    said = run(program("node"), CLIENTS / "client.mjs", proxy, authorization, there.ca, there.plain, secure)
    expected = ["plain 200", "connect 200", *(["http2 200"] if way == "gateway" else [])]
    assert said.splitlines() == expected


def test_java(there: World) -> None:
    java, port = program("java"), str(there.client.listen)
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    try:
        said = run(java, *quick, CLIENTS / "Client.java", port, there.ca, there.plain, there.secure)
    except AssertionError as error:
        if "compiler" in str(error) or "jdk.compiler" in str(error):
            pytest.skip("this Java has no compiler. On Debian: apt-get install openjdk-17-jdk-headless.")
        raise
    assert said.split() == ["200", "200"]


def test_redis_by_a_forward(there: World, tmp_path: Path) -> None:
    server, cli = program("redis-server"), program("redis-cli")
    with redis_server(server, there.redis, tmp_path):
        ask = [cli, "-p", str(there.redis_here)]
        assert run(*ask, "set", "word", "kept").strip() == "OK"
        many = "".join(f"set key{index} {index}\n" for index in range(1000))
        piped = subprocess.run([*ask], input=many, capture_output=True, text=True, timeout=40, check=True)
        assert piped.stdout.count("OK") == 1000
        assert run(*ask, "get", "word").strip() == "kept"


@WAYS
def test_websockets(there: World, way: str) -> None:
    trust = there.trust() if way == "gateway" else None
    with websocket(there.chat, proxy=there.proxy(way), proxy_ssl=trust) as connection:
        for message in ("hello", b"\x00" * 200_000):
            connection.send(message)
            assert connection.recv(timeout=30) == message


def test_grpc(there: World) -> None:
    options = [("grpc.http_proxy", there.client.proxy), ("grpc.enable_http_proxy", 1)]
    with grpc.insecure_channel(there.calls, options=options) as channel:
        said = channel.unary_stream("/programs.Echo/Twice")(b"word", timeout=30)
        assert list(said) == [b"word", b"word"]


@WAYS
def test_server_sent_events_come_one_by_one(there: World, way: str) -> None:
    proxy = httpx.Proxy(there.proxy(way), ssl_context=there.trust() if way == "gateway" else None)
    with (
        httpx.Client(proxy=proxy, trust_env=False, timeout=30) as client,
        client.stream("GET", f"{there.plain}/events") as answer,
    ):
        seen = []
        for line in answer.iter_lines():
            if line:
                seen.append(line)
                Web.noted.release()  # only now the next one is sent
    assert seen == ["data: 0", "data: 1", "data: 2"]
