"""System check of the console, which fails for a URL whose view declares no role."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import Error, register
from django.urls import URLPattern, URLResolver, get_resolver

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
