"""Audit rows get a keyed digest, and the database itself refuses to change them.

Triggers hold against faults of the console, against Django's shell and against SQL that somebody slips in, as long as
that SQL may not drop triggers. Triggers do not hold against the table's owner, who may drop them, nor against whoever
writes the database's file: those show by the chain, whose key is outside the database (`console.core.audit_chain`).
Rows up to a checkpoint ``forgotten`` may be deleted, which is how old rows go; a made-up checkpoint has no signature.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

from console.core import audit_keys

SAYS = "The audit is append-only: its rows are not changed, and deleted only up to a checkpoint."
KEPT = "id > (SELECT coalesce(max(c.row), 0) FROM console_auditcheckpoint c WHERE c.kind = 'forgotten')"

KINDS = [("start", "Start of the keyed chain"), ("forgotten", "Old rows deleted")]

POSTGRESQL = [
    f"""
    CREATE FUNCTION console_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            IF NOT EXISTS (SELECT 1 FROM console_auditrow WHERE {KEPT}) THEN RETURN NULL; END IF;
        ELSIF TG_OP = 'DELETE' AND NOT OLD.{KEPT} THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION '{SAYS}' USING ERRCODE = 'restrict_violation';
    END $$
    """,  # noqa: S608 (constants of this file)
    """
    CREATE TRIGGER console_audit_append_only BEFORE UPDATE OR DELETE ON console_auditrow
    FOR EACH ROW EXECUTE FUNCTION console_audit_append_only()
    """,
    """
    CREATE TRIGGER console_audit_not_emptied BEFORE TRUNCATE ON console_auditrow
    FOR EACH STATEMENT EXECUTE FUNCTION console_audit_append_only()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER console_audit_not_emptied ON console_auditrow",
    "DROP TRIGGER console_audit_append_only ON console_auditrow",
    "DROP FUNCTION console_audit_append_only()",
]
# A later migration that rebuilds the table on SQLite drops these triggers with the old table, and must make them again.
SQLITE = [
    f"""
    CREATE TRIGGER console_audit_not_changed BEFORE UPDATE ON console_auditrow
    BEGIN SELECT RAISE(ABORT, '{SAYS}'); END
    """,
    f"""
    CREATE TRIGGER console_audit_not_deleted BEFORE DELETE ON console_auditrow WHEN OLD.{KEPT}
    BEGIN SELECT RAISE(ABORT, '{SAYS}'); END
    """,
]
SQLITE_BACK = ["DROP TRIGGER console_audit_not_deleted", "DROP TRIGGER console_audit_not_changed"]


def mark_start(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Sign where the rows without a key end; a console without rows needs no mark."""
    last = apps.get_model("console", "AuditRow").objects.order_by("-id").first()
    if last is None:
        return
    key, now = audit_keys.all_keys()[0], timezone.now()
    apps.get_model("console", "AuditCheckpoint").objects.create(
        kind="start",
        row=last.pk,
        digest=last.digest,
        made_at=now,
        key=key.name,
        signature=audit_keys.checkpoint_signature(key, "start", last.pk, last.digest, now),
    )


def _run(schema_editor: BaseDatabaseSchemaEditor, postgresql: list[str], sqlite: list[str]) -> None:
    for statement in postgresql if schema_editor.connection.vendor == "postgresql" else sqlite:
        schema_editor.execute(statement)


def refuse_changes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _run(schema_editor, POSTGRESQL, SQLITE)


def allow_changes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _run(schema_editor, POSTGRESQL_BACK, SQLITE_BACK)


class Migration(migrations.Migration):
    dependencies = [("console", "0010_gateway_upgrades")]

    operations = [
        migrations.AddField(
            model_name="auditrow",
            name="key",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                ("row", models.PositiveBigIntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("made_at", models.DateTimeField()),
                ("key", models.CharField(max_length=16)),
                ("signature", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["-row", "-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["start", "forgotten"])),
                        name="audit_checkpoint_kind_known",
                        violation_error_message="Kind must be start or forgotten.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FailedLogIns",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=10)),
                ("minute", models.DateTimeField(db_index=True)),
                ("address", models.CharField(blank=True, max_length=60)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("names", models.JSONField(default=list)),
                ("lock_outs", models.PositiveIntegerField(default=0)),
                ("locked", models.JSONField(default=list)),
            ],
            options={
                "verbose_name": "failed log-ins",
                "verbose_name_plural": "failed log-ins",
                "ordering": ["-minute", "address"],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "minute", "address"), name="failed_log_ins_once")
                ],
            },
        ),
        migrations.RunPython(mark_start, migrations.RunPython.noop),
        migrations.RunPython(refuse_changes, allow_changes),
    ]
