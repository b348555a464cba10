"""Second factors of log-ins: an app's secret, sealed, and hashes of recovery codes."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0013_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("secret", models.TextField(editable=False)),
                ("last_step", models.PositiveBigIntegerField(default=0, editable=False)),
                ("recovery", models.JSONField(default=list, editable=False)),
                ("failures", models.PositiveIntegerField(default=0, editable=False)),
                ("failed_at", models.DateTimeField(editable=False, null=True)),
                ("made_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="second_factor",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-made_at"],
            },
        ),
    ]
