"""What Django's test client answers, as the type checker sees it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response
else:
    from django.http import HttpResponse as Response

__all__ = ["Response", "words"]


def words(answer: Response) -> str:
    """What the page says, with one blank between words."""
    return " ".join(answer.content.decode().split())
