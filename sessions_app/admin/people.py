"""People and groups: Django's own models in Unfold's forms."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from sessions_app.models import ApiToken
from sessions_app.models.rights import RIGHTS

_SHOWN_TOKENS = 5

admin.site.unregister([User, Group])


class RightsField(ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs alone
    """Permissions by what they let one do."""

    def label_from_instance(self, obj: Permission) -> str:
        return obj.name.removeprefix("Can ").capitalize()


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")
    search_help_text = "Find by name or e-mail"
    filter_horizontal = ()
    # Rights come from groups alone, so that who may do what is read in one place.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Superusers alone make superusers."""
        given = tuple(super().get_readonly_fields(request, obj))
        return given if request.user.is_superuser else (*given, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_delete_permission(request, obj))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Groups are offered that let nobody do more than who gives them."""
        groups = Group.objects.exclude(permissions__in=_rights_beyond(request))
        return super().formfield_for_manytomany(
            db_field, request, widget=UnfoldAdminCheckboxSelectMultipleWidget(), queryset=groups, **kwargs
        )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Everyone made here signs in here: there is no other door."""
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data and not obj.is_active:
            _tell_of_tokens(request, obj)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    filter_horizontal = ()

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _may_give(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _may_give(request, obj) and bool(super().has_delete_permission(request, obj))

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        # Whatever else is in Django's own list opens nothing here.
        permissions = (
            Permission.objects.filter(
                content_type__app_label__in=("sessions_app", "auth"), codename__in=RIGHTS
            )
            .exclude(pk__in=_rights_beyond(request))
            .select_related("content_type")
        )
        return RightsField(
            permissions.order_by("content_type__app_label", "content_type__model", "pk"),
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        )


def _tell_of_tokens(request: HttpRequest, person: User) -> None:
    """Programs go on with tokens of somebody who has left; so would the person, who may have kept one."""
    made = ApiToken.objects.visible_to(request.user).filter(created_by=person, revoked_at=None)
    names = [token.name for token in made if token.is_active]
    if names:
        shown = ", ".join(names[:_SHOWN_TOKENS]) + (", ..." if len(names) > _SHOWN_TOKENS else "")
        messages.warning(
            request,
            f"API tokens that {person} made are still in force ({shown}): revoke those that no program needs.",
        )


def _may_touch(request: HttpRequest, obj: User | None) -> bool:
    """Nobody takes over an account that may do more than they, or could if it were made active again."""
    if obj is None or request.user.is_superuser:
        return True
    return not obj.is_superuser and not _rights_of(obj).filter(pk__in=_rights_beyond(request)).exists()


def _may_give(request: HttpRequest, group: Group | None) -> bool:
    """Nobody changes what a group lets its people do beyond what they may do themselves."""
    return group is None or not group.permissions.filter(pk__in=_rights_beyond(request)).exists()


def _rights_of(person: Any) -> QuerySet[Permission]:
    """Return what a person may do by groups and by themselves, active or not."""
    return Permission.objects.filter(Q(user=person) | Q(group__user=person))


def _rights_beyond(request: HttpRequest | None) -> QuerySet[Permission]:
    """Return what the person who asks may not do."""
    if request is None:
        return Permission.objects.all()
    if request.user.is_superuser:
        return Permission.objects.none()
    return Permission.objects.exclude(pk__in=_rights_of(request.user).values("pk"))
