"""A whole gateway: real Envoy, real agent process, real bytes. The console is down throughout."""

import http.server
import time

import pytest

from tests.edge.gateway_lab import (
    GATEWAY,
    INSTANCE,
    SESSION,
    Echo,
    GatewayLab,
    basic,
    echoes,
    records,
    wait_until,
)
from tests.edge.gateway_pki import TokenSigner
from tests.ports import free_port
from tests.quiet import QuietHandler, QuietHTTPServer, serving

pytestmark = pytest.mark.processes


def test_a_session_token_opens_a_flow_to_a_cloud_network(shared: GatewayLab, echo: Echo) -> None:
    assert echoes(shared.tunnel(echo.target), b"x" * 100_000)


def test_without_credentials_the_client_is_asked_for_them(shared: GatewayLab) -> None:
    status, headers, body = shared.ask(None)
    assert status == 407
    assert headers["proxy-authenticate"] == 'basic realm="causeway"'
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-causeway-reason"] == "credentialsmissing"
    assert b"Log on" in body


def test_what_matches_nothing_is_denied(shared: GatewayLab) -> None:
    status, headers, body = shared.ask(f"Bearer {shared.token()}", "nothing.corp.example:80")
    assert (status, headers["x-causeway-reason"]) == (403, "nomatch")
    assert b"nothing.corp.example:80" in body


def test_a_destination_that_does_not_answer_is_told_in_a_sentence(shared: GatewayLab) -> None:
    status, headers, body = shared.ask(f"Bearer {shared.token()}", f"127.0.0.1:{free_port()}")
    assert (status, headers["x-causeway-reason"]) == (503, "destinationunreachable")
    assert body == b"The destination refused the connection of the gateway.\n"


def test_a_password_needs_the_console(shared: GatewayLab) -> None:
    status, headers, _ = shared.ask(basic(f"alice@{INSTANCE}:secret"))
    assert (status, headers["x-causeway-reason"]) == (503, "consoleunreachable")


@pytest.mark.parametrize(
    "authorization",
    [
        *("Basic", "Basic ****", basic("no-at-sign:secret"), basic("alice@:secret")),
        "Basic /////w==",  # not UTF-8
        *("Bearer", "Bearer a.b.c", "Bearer " + "A" * 20_000, "Digest x", "\xff\xfe"),
    ],
)
def test_bad_credentials_are_refused(shared: GatewayLab, authorization: str) -> None:
    assert shared.ask(authorization)[0] == 407


def test_an_expired_token_is_refused_with_the_reason(shared: GatewayLab) -> None:
    status, headers, body = shared.ask(f"Bearer {shared.token(seconds=-5)}")
    assert (status, headers["x-causeway-reason"]) == (407, "sessionended")
    assert b"expired" in body


@pytest.mark.parametrize(
    "target",
    [
        *("127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:80:80"),
        *("a b:80", "[::1:80", "..:80", "-x.example:80"),
    ],
)
def test_an_odd_destination_is_a_bad_request(shared: GatewayLab, target: str) -> None:
    assert shared.ask(f"Bearer {shared.token()}", target)[0] == 400


def test_a_request_that_is_not_for_a_proxy_is_refused(shared: GatewayLab, echo: Echo) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {echo.target}\r\nProxy-Authorization: Bearer {shared.token()}\r\n\r\n"
    status, headers, _, _ = shared.send(request.encode())
    assert (status, headers["x-causeway-reason"]) == (400, "notaproxyrequest")


def test_a_plain_request_reaches_the_application_without_the_gateways_headers(shared: GatewayLab) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    class Handler(QuietHandler, http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            self.send_response(204)
            self.send_header("Server", "the-application")
            self.end_headers()

    with serving(QuietHTTPServer(("127.0.0.1", 0), Handler)) as port:
        host = f"127.0.0.1:{port}"
        status, headers, _, _ = shared.send(
            f"GET http://{host}/a//b?c HTTP/1.1\r\nHost: other.example\r\n"
            f"Proxy-Authorization: Bearer {shared.token()}\r\nX-Causeway-Path: connector\r\n"
            f"X-Causeway-Connector: evil\r\nX-Causeway-Inner: evil\r\n\r\n".encode()
        )
    assert status == 204
    path, received = seen[0]
    assert path == "/a//b?c"
    assert received["host"] == host  # the address that was decided on, not what the client put beside it
    ours = ("x-causeway", "x-envoy", "x-forwarded", "proxy-")
    assert not [name for name in received if name.startswith(ours)]
    assert not [name for name in headers if name.startswith("x-envoy")]


def test_the_headers_of_the_decision_cannot_be_chosen_by_the_client(shared: GatewayLab, echo: Echo) -> None:
    status, _, _, connection = shared.send(
        f"CONNECT {echo.target} HTTP/1.1\r\nHost: 10.9.9.9:1\r\nX-Causeway-Path: connector\r\n"
        f"X-Causeway-Connector: evil\r\nProxy-Authorization: Bearer {shared.token()}\r\n\r\n".encode()
    )
    assert status == 200
    assert echoes(connection)


def test_a_version_going_backwards_is_refused(lab: GatewayLab) -> None:
    assert lab.apply(version=7) == {"cut": 0}
    answer = lab.apply(version=6)
    assert "older than 7" in answer["refused"]


def test_a_configuration_that_cannot_be_read_leaves_the_one_before(lab: GatewayLab, echo: Echo) -> None:
    assert "instances" in lab.apply(instances=[])["refused"]
    assert echoes(lab.tunnel(echo.target))


def test_a_newer_configuration_cuts_what_it_no_longer_allows(lab: GatewayLab, echo: Echo) -> None:
    doomed = lab.tunnel(echo.target)
    other = lab.tunnel(echo.target, session="session-00000000000000d2")
    assert echoes(doomed) and echoes(other)
    assert lab.apply(ended_sessions={SESSION: "kicked"}) == {"cut": 1}
    assert not echoes(doomed)
    assert echoes(other)
    status, headers, body = lab.ask(f"Bearer {lab.token()}", echo.target)
    assert (status, headers["x-causeway-reason"]) == (407, "sessionended")
    assert b"administrator" in body

    instance = lab.document["instances"][INSTANCE]
    assert lab.apply(instances={INSTANCE: instance | {"cloud_networks": []}}) == {"cut": 1}
    assert not echoes(other)


def test_a_session_that_ended_is_cut_ahead_of_the_next_configuration_and_stays_so(
    lab: GatewayLab, echo: Echo
) -> None:
    target = f"127.0.0.1:{echo.port}"
    doomed, other = lab.tunnel(target), lab.tunnel(target, session="session-00000000000000d2")
    assert echoes(doomed) and echoes(other)
    lab.end_session(SESSION)
    assert not echoes(doomed)
    assert echoes(other)

    def refused() -> None:
        status, headers, _ = lab.ask(f"Bearer {lab.token()}", target)
        assert (status, headers["x-causeway-reason"]) == (407, "sessionended")

    refused()
    lab.kill_agent()
    lab.start()
    assert echoes(other)
    refused()


def test_an_agent_that_is_killed_leaves_open_flows_alone(lab: GatewayLab, echo: Echo) -> None:
    flow = lab.tunnel(echo.target)
    assert echoes(flow)
    before = lab.envoy()
    lab.kill_agent()
    assert echoes(flow)
    status, headers, body = lab.ask(f"Bearer {lab.token()}", echo.target)
    assert (status, headers["x-causeway-reason"]) == (503, "gatewayagentdown")
    assert body == b"This gateway cannot decide on new connections now. Try again in a moment.\n"
    lab.start()
    assert lab.apply(ended_sessions={"session-of-another": "kicked"}) == {"cut": 0}
    assert lab.envoy() == before
    assert echoes(flow)
    assert echoes(lab.tunnel(echo.target))


def test_a_flow_from_before_a_restart_is_cut_all_the_same(lab: GatewayLab, echo: Echo) -> None:
    flow = lab.tunnel(echo.target)
    assert echoes(flow)
    lab.kill_agent()
    lab.start()
    lab.apply(ended_sessions={SESSION: "kicked"})
    assert not echoes(flow)
    wait_until(lab.answers, "the gateway answers again")
    assert echoes(lab.tunnel(echo.target, session="session-00000000000000d2"))


def test_a_stopped_agent_takes_envoy_along(lab: GatewayLab) -> None:
    envoy = lab.envoy()
    assert envoy and envoy.is_running()
    assert lab.agent
    lab.agent.terminate()
    assert lab.agent.wait(30) == 0
    wait_until(lambda: not envoy.is_running(), "Envoy has ended")


def test_bytes_are_counted_while_a_flow_runs_and_at_its_end(lab: GatewayLab, echo: Echo) -> None:
    size = 3_000_000
    flow = lab.tunnel(echo.target)
    for _ in range(size // 100_000):
        assert echoes(flow, b"x" * 100_000)
    running = wait_until(
        lambda: [r for r in records(lab).values() if r["bytes_up"] == size and r["ended_at"] is None],
        "a record of the open flow",
    )
    assert running[0]["bytes_down"] == size
    assert running[0]["session"] == SESSION
    assert running[0]["path"] == "cloud"
    assert running[0]["started_at"] < running[0]["time"] <= time.time()
    flow.close()
    ended = wait_until(lambda: [r for r in records(lab).values() if r["end"]], "a last record")
    assert ended[0]["flow"] == running[0]["flow"]
    assert (ended[0]["bytes_up"], ended[0]["bytes_down"], ended[0]["end"]) == (size, size, "closed")
    assert running[0]["time"] <= ended[0]["time"] <= ended[0]["ended_at"]


def test_a_tunnel_that_never_stood_carried_no_byte(lab: GatewayLab) -> None:
    """Not even the sentence that tells its client so."""
    status, headers, body = lab.ask(f"Bearer {lab.token()}", f"127.0.0.1:{free_port()}")
    assert (status, headers["x-causeway-reason"]) == (503, "destinationunreachable")
    assert body == b"The destination refused the connection of the gateway.\n"
    (record,) = wait_until(lambda: [r for r in records(lab).values() if r["end"]], "a record")
    assert (record["bytes_up"], record["bytes_down"]) == (0, 0)


def test_of_a_plain_request_the_headers_count_too(lab: GatewayLab, echo: Echo) -> None:
    """The echo service sends the request back, which is no answer of HTTP: what went up is on record all the same."""
    lab.send(
        f"GET http://{echo.target}/{'x' * 1000} HTTP/1.1\r\nHost: {echo.target}\r\n"
        f"Proxy-Authorization: Bearer {lab.token()}\r\n\r\n".encode()
    )
    (record,) = wait_until(lambda: [r for r in records(lab).values() if r["end"]], "a record")
    assert 1000 < record["bytes_up"] < 3000


def test_a_stopped_agent_has_counted_every_byte(lab: GatewayLab, echo: Echo) -> None:
    size = 300_000
    flow = lab.tunnel(echo.target)
    for _ in range(3):
        assert echoes(flow, b"x" * (size // 3))
    assert lab.agent
    lab.agent.terminate()
    assert lab.agent.wait(30) == 0
    (record,) = records(lab).values()
    assert (record["bytes_up"], record["bytes_down"]) == (size, size)
    assert record["end"] == "cut" and record["ended_at"]


def test_without_word_from_the_console_for_too_long_nobody_new_gets_in(lab: GatewayLab, echo: Echo) -> None:
    flow = lab.tunnel(echo.target)
    assert lab.apply(offline_seconds=0) == {"cut": 0}
    status, headers, body = lab.ask(f"Bearer {lab.token()}", echo.target)
    assert (status, headers["x-causeway-reason"]) == (503, "consolelost")
    assert b"console" in body
    assert echoes(flow)


def test_envoy_is_started_again_when_it_dies_and_its_flows_are_accounted_for(
    lab: GatewayLab, echo: Echo
) -> None:
    flow = lab.tunnel(echo.target)
    assert echoes(flow, b"x" * 1000)
    wait_until(
        lambda: [r for r in records(lab).values() if r["bytes_up"] == 1000], "a record of the open flow"
    )
    envoy = lab.envoy()
    assert envoy
    envoy.kill()
    assert not echoes(flow)
    wait_until(lambda: [r for r in records(lab).values() if r["end"] == "closed"], "a last record")
    wait_until(lab.answers, "the gateway answers again")
    assert echoes(lab.tunnel(echo.target))


def test_a_renewed_certificate_is_taken_without_breaking_a_flow(lab: GatewayLab, echo: Echo) -> None:
    flow = lab.tunnel(echo.target)
    before = lab.connect().getpeercert(binary_form=True)
    lab.authority.gateway(lab.home, GATEWAY)
    wait_until(
        lambda: lab.connect().getpeercert(binary_form=True) != before, "the renewed certificate is shown"
    )
    assert echoes(flow)


def test_flows_and_tokens_by_a_key_that_is_gone_end_whoever_they_name(lab: GatewayLab, echo: Echo) -> None:
    old, new = lab.signer, TokenSigner()
    new.kid = "another-key"
    flow = lab.tunnel(f"127.0.0.1:{echo.port}")
    assert echoes(flow)
    assert lab.apply(session_keys={new.kid: new.public_pem}) == {"cut": 1}
    assert not echoes(flow)
    status, headers, _ = lab.ask(f"Bearer {lab.token()}", f"127.0.0.1:{echo.port}")
    assert (status, headers["x-causeway-reason"]) == (407, "tokenrefused")
    lab.signer = new
    kept = lab.tunnel(f"127.0.0.1:{echo.port}")
    assert lab.apply(session_keys={new.kid: new.public_pem, old.kid: old.public_pem}) == {"cut": 0}
    assert echoes(kept)
