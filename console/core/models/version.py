"""The configuration's epoch and version, which every change raises; changes and ends queue for its row."""

import secrets

from django.db import models


def new_epoch() -> str:
    """Make the name of an epoch, which no other console and no other history has."""
    return secrets.token_hex(8)


class ConfigVersion(models.Model):
    """The one row: ``version`` rises with changes gateways must know, ``servers_version`` with those for servers.

    ``ends`` counts the sessions whose end gateways are told of ahead of the configuration, which stays as it is.
    ``epoch`` changes when the history was turned back (``console.machines.epochs``). Versions rise across epochs too.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=1)
    servers_version = models.PositiveBigIntegerField(default=1)
    ends = models.PositiveBigIntegerField(default=0, db_default=0)
    epoch = models.CharField(max_length=32, default=new_epoch, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="config_version_one_row")]

    def __str__(self) -> str:
        return str(self.version)
