"""Health of the console for load balancers and service managers: can it answer, with its database?"""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from console.core.access import public


@require_safe
@public
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 ``ok``, or 503 with the reason in words."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the database cannot be reached\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")
