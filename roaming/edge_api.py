"""Log-on, renewal and log-off over the edge API, and the flows that gateways report."""

from django.http import HttpRequest
from ninja import Router

from console.core.address import client_address
from console.core.errors import Forbidden
from console.edge_api import serve, signed
from console.edge_api.routes import gateway_of
from console.edge_api.signature import verify
from console.machines import pki
from console.machines.gateway_upgrades import IN_HAND
from console.models import Gateway
from edge.protocol.logon import Grant, GrantedGateway, GrantedSession, Login, Token
from edge.protocol.reports import Flows, FlowsAnswer, Nothing
from roaming.sessions import logon as service
from roaming.sessions.models import UserSession
from roaming.usage import flows as flow_service

router = Router()


def _calling_gateway(request: HttpRequest) -> str | None:
    """Return the gateway that signed the call; None for an unsigned one. Refuse all but a gateway's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    machine = verify(request, token.strip())
    if machine.kind != "gateway":
        raise Forbidden("Only a gateway may log on for somebody else.", code="WrongKindOfMachine")
    return machine.id


def grant(token: str, session: UserSession) -> Grant:
    """Grant what a client needs for its session: the token, and the gateways of the instance's area."""
    area = session.instance.region.area_id
    enrolled = Gateway.objects.filter(region__area=area, enrolled_at__isnull=False)
    gateways = enrolled.annotate(draining=IN_HAND)
    granted = GrantedSession(
        id=session.pk,
        account=session.account_id,
        instance=session.instance_id,
        username=session.username,
        client_ip=session.client_ip,
        expires_at=int(session.expires_at.timestamp()),
    )
    ways = [GrantedGateway(each.pk, area, each.proxy_url, each.draining) for each in gateways]
    return Grant(token, granted, ways, pki.ca_pem())


@serve(router, "login", Login, auth=None, decides=("public_address",))
def login(request: HttpRequest, who: Login) -> Grant:
    """Open a session for whoever has the right password."""
    gateway = _calling_gateway(request)
    # Whoever is no gateway could claim any address, and lock out others or nobody.
    told = who.public_address if gateway else None
    token, session = service.logon(
        instance_id=who.instance,
        username=who.username,
        password=who.password,
        public_address=told or client_address(request),
        gateway_id=gateway,
        kind=who.kind,
    )
    return grant(token, session)


@serve(router, "session/renew", Token, auth=None)
def renew(request: HttpRequest, bearer: Token) -> Grant:
    """Exchange a session's token for a fresh one."""
    return grant(*service.renew(bearer.token))


@serve(router, "logout", Token, auth=None)
def logout(request: HttpRequest, bearer: Token) -> Nothing:
    """End the session of a token."""
    service.logout(bearer.token)
    return Nothing()


@serve(router, "flows", Flows, auth=signed("gateway"))
def flows(request: HttpRequest, batch: Flows) -> FlowsAnswer:
    """Take in cumulative records of the calling gateway's own flows."""
    gateway = gateway_of(request)
    flow_service.share(gateway.pk, len(batch.records))
    taken = flow_service.take_flows(gateway, batch.batch, batch.records)
    return FlowsAnswer(taken.acknowledged, taken.refused)
