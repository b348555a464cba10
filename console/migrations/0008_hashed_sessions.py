"""Sessions under their plain keys go: nobody can go on with one, since rows are found by a hash from here on."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def empty(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("sessions", "Session").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0007_epochs"),
        ("sessions", "0001_initial"),
    ]

    operations = [migrations.RunPython(empty, migrations.RunPython.noop)]
