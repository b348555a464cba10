"""The configuration's version, which every change raises; changes queue for its row."""

from django.db import models


class ConfigVersion(models.Model):
    """The one row: ``version`` rises with changes gateways must know, ``servers_version`` with those for servers."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=1)
    servers_version = models.PositiveBigIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="config_version_one_row")]

    def __str__(self) -> str:
        return str(self.version)
