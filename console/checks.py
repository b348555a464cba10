"""System checks of the console: a role for every URL, and a state directory that is closed to others."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.urls import URLPattern, URLResolver, get_resolver

from console.core.own_file import OTHERS

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
            hint="Decorate its view with console.core.access.role_required(…) or console.core.access.public.",
            id="causeway.E001",
        )
        for path, view in url_views(get_resolver().url_patterns)
        if not hasattr(view, "required_role")
    ]


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
