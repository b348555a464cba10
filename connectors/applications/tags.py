"""Writes to tags: services make a tag that an application is given, and delete one that nothing names any more."""

from collections.abc import Iterable

from connectors.applications.models import Tag
from console.core.errors import Invalid
from console.core.saving import save

MOST_TAGS = 6


def checked_tags(names: Iterable[str]) -> list[str]:
    """Return the names stripped and each once. Raise ``Invalid`` for more than six."""
    found = list(dict.fromkeys(filter(None, (name.strip() for name in names))))
    if len(found) > MOST_TAGS:
        raise Invalid(f"An application has at most {MOST_TAGS} tags; {len(found)} were given.", field="tags")
    return found


def tags_named(names: Iterable[str]) -> list[Tag]:
    """Return the tags of these names, and make those that are missing. Raise ``Invalid`` for an illegal name."""
    wanted = list(names)
    known = {tag.name: tag for tag in Tag.objects.filter(name__in=wanted)}
    try:
        return [known.get(name) or save(Tag(name=name)) for name in wanted]
    except Invalid as refusal:
        raise Invalid(f"Tag: {refusal.message}", field="tags") from refusal


def forget_unused(names: Iterable[str]) -> None:
    """Delete those of the tags that neither an application nor a policy names."""
    Tag.objects.filter(name__in=list(names), applications=None, policies=None).delete()
