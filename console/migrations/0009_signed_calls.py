from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def unlog(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Spare each call the wait for the disk: the rows are worth two minutes, and a crash of the database empties them."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE console_signedcall SET UNLOGGED")


class Migration(migrations.Migration):
    dependencies = [("console", "0008_hashed_sessions")]

    operations = [
        migrations.CreateModel(
            name="SignedCall",
            fields=[
                (
                    "id",
                    models.CharField(
                        help_text="Machine and jti of the signature.",
                        max_length=110,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("forget_at", models.BigIntegerField(db_index=True, help_text="Seconds of the epoch.")),
            ],
        ),
        migrations.RunPython(unlog, migrations.RunPython.noop),
    ]
