from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    """Counts of failed log-ons become buckets that leak. Old counts, minutes old at most, begin anew."""

    dependencies = [("roaming", "0008_sessions_replaced")]

    operations = [
        migrations.RunSQL("DELETE FROM roaming_logonfailures", migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            name="logonfailures",
            options={
                "ordering": ["-updated_at"],
                "verbose_name": "log-on failures",
                "verbose_name_plural": "log-on failures",
            },
        ),
        migrations.RemoveField(model_name="logonfailures", name="count"),
        migrations.RemoveField(model_name="logonfailures", name="first_at"),
        migrations.RemoveField(model_name="logonfailures", name="locked_until"),
        migrations.AlterField(
            model_name="logonfailures",
            name="key",
            field=models.CharField(max_length=60, primary_key=True, serialize=False),
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="kind",
            field=models.CharField(
                choices=[
                    ("pair", "Locked out"),
                    ("name", "Slowed, from everywhere"),
                    ("address", "Slowed, whoever logs on"),
                ],
                default="pair",
                max_length=10,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="account",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=models.CASCADE,
                related_name="+",
                to="roaming.clientaccount",
            ),
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="address",
            field=models.CharField(blank=True, max_length=45),
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="until",
            field=models.DateTimeField(blank=True, db_index=True, null=True),
        ),
        migrations.AddField(model_name="logonfailures", name="level", field=models.FloatField(default=0)),
        migrations.AddField(
            model_name="logonfailures",
            name="updated_at",
            field=models.DateTimeField(db_index=True, default=timezone.now),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="last_wrong",
            field=models.CharField(blank=True, editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name="logonfailures",
            name="turn_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
