import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0016_push_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="machinekey",
            name="contested_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="machinekey",
            name="start",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=32),
        ),
        migrations.CreateModel(
            name="AgentStart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("start", models.CharField(max_length=32)),
                (
                    "machine_mark",
                    models.CharField(blank=True, help_text="Digest of the machine's id.", max_length=32),
                ),
                (
                    "boot_mark",
                    models.CharField(blank=True, help_text="Digest of the id of its boot.", max_length=32),
                ),
                ("hostname", models.CharField(blank=True, max_length=255)),
                ("address", models.CharField(blank=True, max_length=60)),
                ("since", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("returns", models.PositiveIntegerField(db_default=0, default=0)),
                ("returned_at", models.DateTimeField(blank=True, null=True)),
                ("refused_at", models.DateTimeField(blank=True, null=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="starts",
                        to="console.machinekey",
                    ),
                ),
            ],
            options={
                "ordering": ["since"],
            },
        ),
        migrations.AddConstraint(
            model_name="agentstart",
            constraint=models.UniqueConstraint(
                fields=("key", "start"),
                name="agent_start_once",
                violation_error_message="A start of an agent is noted once.",
            ),
        ),
    ]
