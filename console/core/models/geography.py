"""Areas, the eight of the CCN, and their regions; both come with the first migration."""

from django.db import models


class Area(models.Model):
    """An area of the CCN; lists show the objects of one area at a time."""

    id = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=60, unique=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Region(models.Model):
    """A cloud region id; every region lies in one area."""

    id = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=60)
    area = models.ForeignKey(Area, on_delete=models.PROTECT, related_name="regions")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"
