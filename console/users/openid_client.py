"""Client of the provider of OpenID Connect, by Authlib: the way there, the way back, and who came.

Authlib keeps state, nonce and the secret of PKCE in the session, checks the signature of the provider's word by the
provider's keys, and that it is fresh and meant for this console.
"""

from functools import cache
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from joserfc.errors import JoseError
from requests import RequestException

SECONDS = 10


class Refused(Exception):
    """Way by the provider that led to nobody. The text says why, for the log."""


# What goes wrong with a provider: its answer, its keys, the network, a document without what belongs there.
FAULTS = (OAuthError, JoseError, RequestException, KeyError, ValueError, RuntimeError)


@cache
def _client(issuer: str, client_id: str, client_secret: str, scopes: str) -> Any:
    """Make the client, once a process: the provider's document is read at the first log-in."""
    return OAuth().register(
        "openid",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": scopes, "code_challenge_method": "S256", "default_timeout": SECONDS},
    )


def client() -> Any:
    """Return the client by the settings."""
    return _client(
        settings.OPENID_ISSUER,
        settings.OPENID_CLIENT_ID,
        settings.OPENID_CLIENT_SECRET,
        settings.OPENID_SCOPES,
    )


def way_there(request: HttpRequest) -> HttpResponse:
    """Send a browser to the provider. Raises `Refused`."""
    try:
        return client().authorize_redirect(request, settings.PUBLIC_URL + reverse("openid_back"))
    except FAULTS as error:
        raise Refused(f"{type(error).__name__}: {error}") from error


def came_back(request: HttpRequest) -> dict[str, Any]:
    """Return what the provider says of the user who came back. Raises `Refused` unless all of it holds."""
    wanted = {
        "iss": {"essential": True, "value": settings.OPENID_ISSUER},
        "aud": {"essential": True, "value": settings.OPENID_CLIENT_ID},
        "sub": {"essential": True},
    }
    try:
        token = client().authorize_access_token(request, claims_options=wanted)
        claims = dict(token["userinfo"])
        if settings.OPENID_GROUPS_CLAIM not in claims:
            told = client().userinfo(token=token)
            if told.get("sub") != claims["sub"]:
                raise ValueError("The provider tells of another user.")
            claims = dict(told) | claims
    except FAULTS as error:
        raise Refused(f"{type(error).__name__}: {error}") from error
    return claims
