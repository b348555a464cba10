"""Django admin of sessions and failed log-ons: history that nobody edits, and kicking as the one action."""

from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from console.core.access import actor, has_role
from console.core.admin_services import HistoryAdmin
from console.core.errors import Conflict
from roaming.sessions import services
from roaming.sessions.models import LogonFailures, UserSession


@admin.register(UserSession)
class UserSessionAdmin(HistoryAdmin):
    list_display = (
        "username",
        "instance",
        "client_ip",
        "public_address",
        "gateway",
        "kind",
        "created_at",
        "ended_at",
        "end_reason",
    )
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "end_reason", "kind", "instance__region__area")
    list_select_related = ("instance", "gateway")
    search_fields = ("id", "username", "public_address")
    show_full_result_count = False
    actions = ("kick",)

    @admin.action(description="Kick selected live sessions")
    def kick(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        ended = 0
        for session in queryset.filter(ended_at=None):
            with suppress(Conflict):  # sessions may have ended by themselves meanwhile
                services.session_end(session=session, actor=actor(request))
                ended += 1
        self.message_user(request, f"Sessions ended: {ended}.")

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if has_role(request.user, "operator") else {}


@admin.register(LogonFailures)
class LogonFailuresAdmin(HistoryAdmin):
    list_display = ("key", "kind", "account", "address", "level", "until")
    list_filter = ("kind", ("until", admin.EmptyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("key", "address")
