"""Answers of ext_authz: may this flow pass, and which way. Whatever is sent, the answer is a status and a sentence."""

import logging
import secrets
import time
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2 as auth
from envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from google.rpc.status_pb2 import Status

from edge.access.decision import CLOUD, Decision, Destination
from edge.access.hosts import Host, HostInvalid
from edge.envoy.bandwidth import BANDWIDTH_HEADER, UPLOAD_HEADER
from edge.envoy.failures import PART_HEADER
from edge.envoy.gateway import INTERNAL_HEADERS, PATH_HEADER
from edge.envoy.parts import NAME_HEADER, REASON_HEADER, ROUTE_HEADER
from edge.gateway import pac
from edge.gateway.bandwidth import Bandwidth, NoBandwidth, upload
from edge.gateway.flow import FLOW_KEY, Flow
from edge.gateway.flows import Flows
from edge.gateway.pace import Pace
from edge.gateway.sessions import LogonFailed, Sessions
from edge.gateway.state import GatewayState
from edge.gateway.tunnels import TunnelWatch
from edge.protocol import reach
from edge.protocol.codes import ENDS_SESSION, Code
from edge.protocol.identity import SESSION_CHECK, IdentityError, SessionIdentity, parse_proxy_authorization

logger = logging.getLogger(__name__)

# Destination in whose place the gateway answers itself, as long as the session stands.
_ITSELF = Destination(Host(reach.HOST), 80)

_OK = 0
_PERMISSION_DENIED = 7


class _Refused(Exception):
    """Refusal by the gateway itself, with the fields of the console's (`LogonFailed`); ``retry_after`` in seconds."""

    def __init__(self, code: Code, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = code.status, code, message, retry_after


class Authorizer(auth_grpc.AuthorizationServicer):
    """Service that answers for clients' flows, and for servers' tunnels (a check without HTTP)."""

    def __init__(
        self,
        state: GatewayState,
        sessions: Sessions,
        flows: Flows,
        tunnels: TunnelWatch,
        bandwidth: Bandwidth,
        pace: Pace,
    ) -> None:
        self._state, self._sessions, self._flows, self._tunnels = state, sessions, flows, tunnels
        self._bandwidth = bandwidth
        self._pace = pace
        self._answers = pac.Answers()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        attributes = request.attributes
        try:
            if not attributes.request.HasField("http"):
                return self._admit_tunnel(attributes)
            return await self._admit_flow(attributes)
        except (_Refused, LogonFailed) as refused:
            self._state.metrics.decisions[refused.code] += 1
            straight = pac.is_straight(attributes.request.http)
            # `causeway connect` asks every few seconds whether its session lives: these refusals must not fill the log.
            asks = attributes.request.http.host.startswith(SESSION_CHECK) and refused.code == Code.NO_MATCH
            level = logging.DEBUG if asks else logging.INFO
            logger.log(level, "Refused: %s %s: %s", refused.status, refused.code, refused.message)
            return _denied(refused, straight=straight)
        except Exception:
            logger.exception(
                "A decision failed by an error of the program; the client got 503 InternalError."
            )
            self._state.metrics.decisions[Code.INTERNAL_ERROR] += 1
            return _denied(_Refused(Code.INTERNAL_ERROR, "The gateway could not decide on this request."))

    async def _admit_flow(self, attributes: Any) -> Any:
        http = attributes.request.http
        refusal = self._state.refusal()
        if refusal is not None:
            raise _Refused(refusal.code, refusal.message)
        try:
            name = "authorization" if pac.is_straight(http) else "proxy-authorization"
            credentials = parse_proxy_authorization(http.headers.get(name))
            identity = await self._sessions.identify(
                credentials, attributes.source.address.socket_address.address
            )
        except IdentityError as error:
            raise _Refused(error.code, error.message) from None
        waited = time.time() - attributes.request.time.ToMicroseconds() / 1e6
        if not self._pace.allows(identity.account, waited):
            message = "The gateway is busy, and this account opens more flows than others. Try again."
            raise _Refused(Code.TOO_MANY_FLOWS, message, 0.5)
        asks_gateway = pac.is_asked(http)
        destination = _ITSELF if asks_gateway else _destination(http)
        decision = await self._decide(identity, destination)
        if asks_gateway and decision.code not in ENDS_SESSION:
            return _answered(*self._answers.give(http, identity, self._state.current))
        if not decision.allowed:
            if decision.code in ENDS_SESSION:
                self._sessions.forget([identity.session])
            raise _Refused(decision.code, decision.message)
        try:
            held = await self._bandwidth.slot(identity)
        except NoBandwidth as error:
            raise _Refused(Code.BANDWIDTH_UNAVAILABLE, str(error)) from None
        # From here to the end nothing waits; what changed meanwhile is seen when the flow's stream opens.
        self._state.metrics.decisions[decision.code] += 1
        cap = held[1] if held else None
        flow = Flow.allowed(
            f"flow-{secrets.token_hex(8)}", identity, destination, decision, self._state, cap=cap
        )
        if flow.connector is not None:
            flow.server = self._state.appoint(flow.connector)
        self._flows.admit(flow)
        return self._allowed(flow, held, _authority(http, destination))

    async def _decide(self, identity: SessionIdentity, destination: Destination) -> Decision:
        await self._tunnels.use()
        decision = self._state.decide(identity, destination)
        # A tunnel may have come up since the list was last read: ask before turning somebody away.
        if decision.code == Code.CONNECTOR_OFFLINE and await self._tunnels.refresh():
            decision = self._state.decide(identity, destination)
        return decision

    def _allowed(self, flow: Flow, held: tuple[int, int] | None, authority: dict[str, str]) -> Any:
        reply = auth.CheckResponse(status=Status(code=_OK))
        headers: dict[str, str] = {PATH_HEADER: flow.path, **authority}
        if held is not None:
            slot, cap = held
            headers |= {BANDWIDTH_HEADER: str(slot), UPLOAD_HEADER: upload(slot, cap, flow.identity.account)}
        if flow.connector is not None and flow.path != CLOUD:
            headers |= {ROUTE_HEADER: flow.server or flow.connector, NAME_HEADER: flow.connector}
        _set(reply.ok_response.headers, headers)
        # Headers of these names from a client must neither choose the way nor reach an application.
        reply.ok_response.headers_to_remove.extend(name for name in INTERNAL_HEADERS if name not in headers)
        reply.dynamic_metadata.update({FLOW_KEY: flow.dump()})
        return reply

    # -- Tunnels --

    def _admit_tunnel(self, attributes: Any) -> Any:
        """Admit a tunnel whose certificate is that of an enabled server of an existing connector; refuse all others."""
        server, connector = _tunnel_names(attributes.source.certificate)
        snapshot = self._state.snapshot
        if snapshot is not None and snapshot.server_allowed(server, connector):
            logger.info("A tunnel is admitted: server %s of connector %s.", server, connector)
            return auth.CheckResponse(status=Status(code=_OK))
        self._state.metrics.tunnels_refused += 1
        logger.warning(
            "A tunnel is refused: server %.80r of connector %.80r is not enabled.",
            server,
            connector,
        )
        return auth.CheckResponse(status=Status(code=_PERMISSION_DENIED))


def _destination(http: Any) -> Destination:
    """Return the client's destination, which CONNECT names by host and port, a plain request by an http:// address."""
    try:
        if http.method == "CONNECT":
            if ":protocol" in http.headers:
                raise _Refused(Code.METHOD_UNSUPPORTED, "Only plain CONNECT is supported.")
            return Destination.parse(http.host)
        if http.scheme != "http":
            message = "This is a proxy: send CONNECT host:port, or a request for an absolute http:// address."
            raise _Refused(Code.NOT_A_PROXY_REQUEST, message)
        return Destination.parse(http.host, default_port=80)
    except HostInvalid as error:
        raise _Refused(Code.DESTINATION_INVALID, str(error)) from None


def _authority(http: Any, destination: Destination) -> dict[str, str]:
    """Have an address or port that was written oddly go on in its one form, which is all that a server compares with.

    A name goes on as it was written, since applications see it.
    """
    has_port = http.host.rpartition(":")[2] == str(destination.port)
    if not destination.host.family and (has_port or ":" not in http.host):
        return {}
    written = str(destination)
    if ":" not in http.host.rpartition("]")[2]:
        written = written.removesuffix(f":{destination.port}")
    return {":authority": written} if written != http.host else {}


def _tunnel_names(certificate: str) -> tuple[str, str]:
    """Return server and connector of a certificate (URL-encoded PEM, as from Envoy); empty texts when it names none."""
    try:
        parsed = x509.load_pem_x509_certificate(unquote(certificate).encode())
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return "", ""
    servers = names.get_values_for_type(x509.DNSName)
    connectors = names.get_values_for_type(x509.UniformResourceIdentifier)
    return (servers[0], connectors[0]) if len(servers) == len(connectors) == 1 else ("", "")


def _set(target: Any, headers: dict[str, str]) -> None:
    for key, value in headers.items():
        action = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
        target.append(HeaderValueOption(header=HeaderValue(key=key, value=value), append_action=action))


def _answered(media_type: str, body: str) -> Any:
    """Let the gateway answer by itself; for Envoy that is a refusal, whose status is 200."""
    reply = auth.CheckResponse(status=Status(code=_PERMISSION_DENIED))
    reply.denied_response.status.code = 200
    reply.denied_response.body = body
    _set(reply.denied_response.headers, {"content-type": media_type, **pac.HEADERS})
    return reply


def _denied(refused: _Refused | LogonFailed, *, straight: bool = False) -> Any:
    """Refuse a request; ``straight``: of a client that takes the gateway for a web server, which knows no 407."""
    reply = auth.CheckResponse(status=Status(code=_PERMISSION_DENIED))
    headers = {"content-type": "text/plain; charset=utf-8", REASON_HEADER: refused.code}
    if refused.status == 503:
        headers[PART_HEADER] = "tunnel" if refused.code == Code.CONNECTOR_OFFLINE else "gateway"
    if refused.status == 407:
        headers["www-authenticate" if straight else "proxy-authenticate"] = 'Basic realm="Causeway"'
    if refused.retry_after:
        headers["retry-after"] = str(int(refused.retry_after) + 1)
    reply.denied_response.status.code = 401 if straight and refused.status == 407 else refused.status
    reply.denied_response.body = refused.message + "\n"
    _set(reply.denied_response.headers, headers)
    return reply
