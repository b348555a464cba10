"""Reads of uploaded files."""

from django.http import Http404

from console.models import User
from roaming.imports.models import AccountImport


def draft_or_404(import_id: str, owner: User) -> AccountImport:
    """Return an upload of ``owner`` with its instance; uploads of other users are answered with 404."""
    drafts = AccountImport.objects.select_related("instance__region__area")
    draft = drafts.filter(pk=import_id, owner=owner).first()
    if draft is None:
        raise Http404(
            "This upload was imported already or is older than a day. Look at the tasks, or upload again."
        )
    return draft
