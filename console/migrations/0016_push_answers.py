from django.db import migrations, models


class Migration(migrations.Migration):
    """Room for sentences that name a certificate and its issuer."""

    dependencies = [("console", "0015_openid")]

    operations = [
        migrations.AlterField(
            model_name="pushchannel",
            name="failure",
            field=models.CharField(blank=True, editable=False, max_length=700),
        ),
        migrations.AlterField(
            model_name="pushdelivery",
            name="answer",
            field=models.CharField(
                blank=True, help_text="What the receiver last said, or why it did not.", max_length=700
            ),
        ),
    ]
