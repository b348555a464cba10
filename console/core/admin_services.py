"""Django admin whose writes go through the services, so that every door has the same rules, audit and cut-overs."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from console.core.access import has_role
from console.core.conflicts import overtaken
from console.core.errors import Refusal
from console.core.folding import looked_for
from console.core.versions import Stale


def _may(request: HttpRequest, role: str) -> bool:
    return bool(getattr(request.user, "is_superuser", False)) or has_role(request.user, role)


# Endings that Django's own filters append to a field: a value, its absence, a span of days.
_ENDINGS = {"exact", "isnull", "isempty", "gte", "gt", "lte", "lt", "year", "month", "day", "id__exact"}


class ListedLookups(admin.ModelAdmin):
    """Admin whose list is narrowed by the filters it offers, and by nothing else; ``readers`` is the lowest role.

    Django takes any field in an address, secrets and hashes as well, and any way to compare: a person who may see the
    list could guess them character by character.
    """

    readers = "viewer"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        offered = [str(each[0] if isinstance(each, tuple) else each) for each in self.list_filter]
        if self.date_hierarchy:
            offered.append(self.date_hierarchy)
        return any(
            lookup == name or (lookup.startswith(f"{name}__") and lookup[len(name) + 2 :] in _ENDINGS)
            for name in offered
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row by its key, as well where an address names an empty field; None for a key of no sense."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field or None)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Make the list; an address that narrows by what is no value, such as the year 10000, leads to all rows."""
        if any("\0" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters
        try:
            return super().get_changelist_instance(request)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error

    def response_action(
        self, request: HttpRequest, queryset: QuerySet, *args: Any, **named: Any
    ) -> HttpResponse | None:
        """Carry an action out on rows that were chosen by keys; what can be no key is a bad request."""
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.model._meta.pk.get_prep_value(self.model._meta.pk.to_python(key))
        except (ValidationError, ValueError) as error:
            raise BadRequest("A chosen row has a key that no row can have.") from error
        return super().response_action(request, queryset, *args, **named)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search text as the pages do; a field with a sign or a way to compare as it says."""
        names = (str(name) for name in super().get_search_fields(request))
        return [
            name if name[:1] in "^=@" or "startswith" in name else looked_for(self.model, name)
            for name in names
        ]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> Any:
        """Search for a word without the character that no row can have."""
        return super().get_search_results(request, queryset, search_term.replace("\0", ""))


class HistoryAdmin(ListedLookups):
    """Admin that only shows, for rows that machines write and for history."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return _may(request, self.readers)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _may(request, self.readers)


class ServiceAdmin(ListedLookups):
    """Admin whose subclasses name the services that create, update and remove; one left out is not offered.

    A ``Refusal`` appears beside the field it names, with the input kept; for a removal, as a message. ``writers`` is
    the lowest role that writes. ``update`` gets the row as the database holds it, with the wishes in
    ``form.cleaned_data``; fields that no service changes belong into ``fixed_fields``, which are read-only once the
    object exists.
    """

    fixed_fields: tuple[str, ...] = ()
    writers = "operator"

    def create(self, request: HttpRequest, form: ModelForm) -> models.Model:
        raise PermissionDenied

    def update(self, request: HttpRequest, obj: Any, form: ModelForm) -> models.Model:
        raise PermissionDenied

    def remove(self, request: HttpRequest, obj: Any) -> None:
        raise PermissionDenied

    def _offers(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(ServiceAdmin, name)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return _may(request, self.readers)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _may(request, self.readers)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._offers("create") and _may(request, self.writers)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._offers("update") and _may(request, self.writers)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._offers("remove") and _may(request, self.writers)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        readonly = tuple(super().get_readonly_fields(request, obj))
        return readonly + self.fixed_fields if obj is not None else readonly

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        form: type[ModelForm] = super().get_form(request, obj, change=change, **kwargs)
        refusal: Refusal | None = getattr(request, "_refusal", None)
        if refusal is None:
            return form
        field, message = refusal.field, refusal.message

        class RefusedForm(form):  # type: ignore[valid-type, misc]
            """Form of the page whose validation ends with the refusal of the service."""

            def full_clean(self) -> None:
                super().full_clean()
                if self.is_bound:
                    if isinstance(refusal, Stale):
                        self.overtaken = overtaken(self, refusal)
                    self.add_error(field if field in self.fields else None, message)

        return RefusedForm

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Refusal as refusal:
            # Page made once more: nothing was written, and its form now knows why.
            request._refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            # Row read again: the form wrote its values into ``obj``, and the service must see those before.
            saved = self.update(request, self.model._default_manager.get(pk=obj.pk), form)
        else:
            saved = self.create(request, form)
        obj.__dict__.update(saved.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write nothing: relations are the services' to write."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for obj in queryset:
            self.remove(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List what goes along; whether it may go is the service's to say."""
        to_delete, counts, _, _ = super().get_deleted_objects(objs, request)
        needed: set[str] = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        protected: Iterable[Any] = []
        return to_delete, counts, needed, protected

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponseRedirect(reverse(name, args=[object_id]))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
