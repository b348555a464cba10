"""World of ``bench.lists``, and the bare view that the list is compared to."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import override_settings
from django.urls import path
from django.utils import timezone

from console.core.audit import System
from console.models import Region, User
from roaming.instances import services as instances
from roaming.models import ClientAccount, Instance, UserSession

# The same columns of the same rows as in the list, with nothing around the table.
BARE = """<!DOCTYPE html><html><head><title>{{ instance.name }}</title></head><body><p>{{ total }}</p><table>
{% for row in rows %}<tr><td>{{ row.username }}</td><td>{{ row.pk }}</td><td>{{ row.email }}</td>
<td>{{ row.enabled }}</td><td>{{ row.static_ip }}</td><td>{{ row.bandwidth_kbps }}</td>
<td>{{ row.source.instance.name }}</td><td>{{ row.last_logon_at }}</td></tr>{% endfor %}</table></body></html>"""


def make(accounts: int, sessions: int) -> tuple[Instance, User]:
    """Make an instance with so many accounts, some live, some disabled, some roamed, and a user who may look."""
    actor = System("bench")
    region = Region.objects.get(pk="cn-shanghai")
    elsewhere = Region.objects.get(pk="ap-southeast-1")
    size = max(accounts, 10)
    here = instances.instance_create(
        region=region, name="large", cidrs=["10.0.0.0/12"], account_quota=size, actor=actor
    )
    there = instances.instance_create(
        region=elsewhere, name="elsewhere", cidrs=["10.64.0.0/12"], account_quota=size, actor=actor
    )
    now = timezone.now()
    rows = [_account(here, n, now) for n in range(accounts)]
    copies = [_copy(row, there) for row in rows[::50]]
    with transaction.atomic():
        ClientAccount.objects.bulk_create(rows + copies, batch_size=2000)
        UserSession.objects.bulk_create(
            UserSession(
                account=row,
                username=row.username,
                instance=here,
                client_ip=f"10.0.{n // 250}.{n % 250 + 1}",
                kind="proxy",
                expires_at=now + timedelta(hours=8),
            )
            for n, row in enumerate(rows[: sessions * 2 : 2])
        )
    with connection.cursor() as cursor:
        # An idle database does this by itself sooner or later.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return here, User.objects.create(username="bench", role="operator")


def _account(instance: Instance, n: int, now: Any) -> ClientAccount:
    name = f"person{n:06}"
    account = ClientAccount(
        instance=instance,
        username=name,
        email=f"{name}@example.org",
        password="!",
        enabled=bool(n % 20),
        last_logon_at=now - timedelta(minutes=n) if n % 3 else None,
    )
    account.origin = account.pk
    return account


def _copy(source: ClientAccount, instance: Instance) -> ClientAccount:
    return ClientAccount(
        instance=instance,
        username=source.username,
        email=source.email,
        password="!",
        source=source,
        origin=source.origin,
    )


@login_not_required
def bare(request: HttpRequest, instance_id: str) -> HttpResponse:
    rows = ClientAccount.objects.filter(instance_id=instance_id).select_related("source__instance")
    context = {
        "instance": Instance.objects.get(pk=instance_id),
        "total": rows.count(),
        "rows": rows.order_by("username_key")[:50],
    }
    return HttpResponse(engines["django"].from_string(BARE).render(context, request))


urlpatterns = [path("bare/<str:instance_id>/", bare)]


@contextmanager
def bare_urls() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield
