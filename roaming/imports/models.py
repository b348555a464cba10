"""Files of client accounts between their upload and the decision to import them."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from console.core.ids import new_id
from console.core.sealed import SealedField
from roaming.instances.models import Instance

# Purpose for which uploads are sealed.
PURPOSE = "account-imports"


def new_import_id() -> str:
    return new_id("import")


class AccountImport(models.Model):
    """Upload of a user, kept for a day. ``content`` is encrypted, because it may hold passwords."""

    id = models.CharField(primary_key=True, max_length=40, default=new_import_id, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="imports")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    content = SealedField(purpose=PURPOSE, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.instance} {self.created_at:%Y-%m-%d %H:%M}"
