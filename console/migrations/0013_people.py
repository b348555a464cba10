"""Log-ins know whose they are, links for passwords, channels of a user's own, and when an access key was used.

Whoever was logged in logs in once more: log-ins move to a table of the console's own, and the rows before say nothing of
their user.
"""

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def empty(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("sessions", "Session").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0012_ends_ahead"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="accesskey",
            name="last_used_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.CreateModel(
            name="LogIn",
            fields=[
                (
                    "session_key",
                    models.CharField(
                        max_length=40, primary_key=True, serialize=False, verbose_name="session key"
                    ),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("public_id", models.CharField(blank=True, db_index=True, max_length=16)),
                ("address", models.CharField(blank=True, max_length=60)),
                ("agent", models.CharField(blank=True, max_length=200, verbose_name="browser")),
                ("began_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_ins",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "log-in",
                "ordering": ["-began_at"],
            },
        ),
        migrations.CreateModel(
            name="PasswordLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("made_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="password_link",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-made_at"],
            },
        ),
        migrations.AddField(
            model_name="pushchannel",
            name="owner",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                help_text="The user who gets the messages by mail, and has switched that on.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="own_channel",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(empty, migrations.RunPython.noop),
    ]
