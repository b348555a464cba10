"""System checks of the console: a role for every URL, what stands before the console, files closed to others."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import Error, Info, Tags, Warning, register
from django.urls import URLPattern, URLResolver, get_resolver

from console.core.own_file import OTHERS
from console.machines import console_ca

# Namespaces that check by themselves: Django admin has its log-in and permissions, the edge API signed calls.
NAMESPACES_WITH_THEIR_OWN = {"admin", "edge"}


def url_views(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, view) of every URL of the console's own pages."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.namespace not in NAMESPACES_WITH_THEIR_OWN:
                yield from url_views(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path, pattern.callback


@register()
def every_url_declares_its_role(app_configs: Any, **kwargs: Any) -> list[Error]:
    return [
        Error(
            f"The URL “{path}” declares no role.",
            hint="Decorate its view with shows, acts, takes_form or public of console.core.access.",
            id="causeway.E001",
        )
        for path, view in url_views(get_resolver().url_patterns)
        if not hasattr(view, "required_role")
    ]


# What `console.front` does, and what granian alone cannot: a proxy in its place must.
PROXY_MUST = (
    "The proxy must take a request whole before it passes the request on (nginx: proxy_request_buffering on), give up "
    "headers after 10 s, bodies after 120 s, idle connections after 30 s and a TLS handshake after 10 s, refuse bodies "
    "of more than 11 MiB, limit connections and requests of one address, wait 60 s for an answer (gateways' polls last "
    "25 s), drop headers with an underscore, write the client's address last into X-Forwarded-For and the scheme into "
    "X-Forwarded-Proto. docs/operations.md has an example."
)


@register(Tags.security, deploy=True)
def what_stands_before_the_console(app_configs: Any, **kwargs: Any) -> list[Info | Warning]:
    """Say what a proxy must do where the console has no front of its own; warn of half a front."""
    if bool(settings.TLS_CERTIFICATE) != bool(settings.TLS_KEY):
        message = "CAUSEWAY_TLS_CERTIFICATE and CAUSEWAY_TLS_KEY belong together, and one of them is not set."
        return [Warning(message, hint="Set both, or neither.", id="causeway.W002")]
    if settings.TLS_CERTIFICATE:
        return []
    if settings.TRUSTED_PROXY:
        message = "The console stands behind a proxy of yours (CAUSEWAY_TRUSTED_PROXY)."
    else:
        message = "The console has no front of its own, and takes no address from a proxy either."
    hint = f"Set CAUSEWAY_TLS_CERTIFICATE and CAUSEWAY_TLS_KEY for a front of its own. {PROXY_MUST}"
    return [Info(message, hint=hint, id="causeway.I001")]


@register(Tags.security, deploy=True)
def machines_trust_the_console(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """Warn of a CA that machines need and the Deploy command cannot carry."""
    found = console_ca.problem()
    return (
        [Warning(found, hint="See “A CA of your own” in docs/operations.md.", id="causeway.W003")]
        if found
        else []
    )


@register(Tags.security, deploy=True)
def state_is_its_owners_alone(app_configs: Any, **kwargs: Any) -> list[Warning]:
    folder = settings.STATE_DIR
    if not folder.is_dir() or not folder.stat().st_mode & OTHERS:
        return []
    return [
        Warning(
            f"Others on this machine may look into {folder}, where the console's files lie.",
            hint=f"Close the folder: chmod 700 {folder}. Files that another program serves go to CAUSEWAY_STATIC_ROOT.",
            id="causeway.W001",
        )
    ]
