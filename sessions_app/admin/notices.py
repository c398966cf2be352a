"""The page of notices: one's own channels, the shared ones, a form for each kind, and the test button."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.validators import validate_email
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app.mirror.moments import begin
from sessions_app.models import Channel, Delivery, Organization
from sessions_app.models.notices import ChannelKind, DeliveryState, Topic, make_secret
from sessions_app.notices.addresses import check_webhook
from sessions_app.notices.causes import make_test
from sessions_app.notices.delivering import deliver

OWN, SHARE = "sessions_app.own_channel", "sessions_app.share_channel"
_MOST_CHANNELS = 50
_ICONS = {
    ChannelKind.EMAIL: "mail",
    ChannelKind.SLACK: "tag",
    ChannelKind.TEAMS: "groups",
    ChannelKind.WEBHOOK: "webhook",
}
_HELP = {
    ChannelKind.EMAIL: "One e-mail address.",
    ChannelKind.SLACK: "The address that an incoming webhook of Slack has; Mattermost and Rocket.Chat take the same. "
    "Whoever knows it can write there, so it is stored encrypted and not shown again.",
    ChannelKind.TEAMS: "In Teams, make a workflow “When a Teams webhook request is received” that posts the card to a "
    "channel, and paste the address that it shows. It is stored encrypted and not shown again.",
    ChannelKind.WEBHOOK: "The address of a program of yours. Each request is signed; the secret for it is made when "
    "you save and shown once.",
}
_LABELS = {ChannelKind.EMAIL: "E-mail address"}
_EXAMPLES = {ChannelKind.EMAIL: "you@example.com"}


class ChannelForm(forms.Form):
    """A channel of one kind. The stored address of a webhook never reaches the page; an empty field keeps it."""

    name = forms.CharField(max_length=100, error_messages={"required": "Give it a name."})
    address = forms.CharField(max_length=2000, required=False)
    organization = forms.ModelChoiceField(
        queryset=Organization.objects.none(), required=False, empty_label="all organizations"
    )
    topics = forms.MultipleChoiceField(
        label="Tell of",
        choices=Topic.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what it is told of."},
    )
    is_enabled = forms.BooleanField(label="Switched on", required=False)

    def __init__(self, *args: Any, request: HttpRequest, channel: Channel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel, self.kind = channel, ChannelKind(channel.kind)
        choice, address = self.fields["organization"], self.fields["address"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - as declared above
        choice.queryset = Organization.objects.visible_to(request.user)
        address.label = _LABELS.get(self.kind, "Webhook address")
        address.help_text = _HELP[self.kind]
        address.widget.attrs |= {"autocomplete": "off", "placeholder": _EXAMPLES.get(self.kind, "https://")}
        if self.is_kept:
            address.help_text = f"Stored for {channel.shown_address}. Leave this empty to keep it."

    @property
    def is_kept(self) -> bool:
        """There is an address that is not shown."""
        return bool(self.channel.address) and self.kind != ChannelKind.EMAIL

    def clean_address(self) -> str:
        address = str(self.cleaned_data["address"]).strip()
        if not address and self.is_kept:
            return self.channel.address
        if self.kind == ChannelKind.EMAIL:
            validate_email(address)
        else:
            check_webhook(address)
        return address

    def fill(self) -> Channel:
        """Return the channel as the form has it; not stored yet."""
        given = self.cleaned_data
        self.channel.name, self.channel.address = given["name"], given["address"]
        self.channel.organization, self.channel.topics = given["organization"], given["topics"]
        self.channel.is_enabled = given["is_enabled"]
        return self.channel


# The page --------------------------------------------------------------------------------------------


def may_notice(request: HttpRequest) -> bool:
    return request.user.has_perm(OWN) or request.user.has_perm(SHARE)


def channels_of(request: HttpRequest) -> QuerySet[Channel]:
    """What a person may manage: their own channels, and the shared ones with a permission."""
    mine = Q(owner_id=request.user.pk) if request.user.has_perm(OWN) else Q(pk=None)
    shared = Q(owner=None) if request.user.has_perm(SHARE) else Q(pk=None)
    return Channel.objects.visible_to(request.user).filter(mine | shared, removed_at=None)


def notices_page(request: HttpRequest) -> HttpResponse:
    if not may_notice(request):
        raise PermissionDenied
    newest = Delivery.objects.visible_to(request.user).filter(channel=OuterRef("pk")).order_by("-pk")
    channels = (
        channels_of(request)
        .select_related("organization")
        .annotate(
            last_state=Subquery(newest.values("state")[:1]),
            last_error=Subquery(newest.values("error")[:1]),
            last_at=Subquery(newest.values("created_at")[:1]),
        )
    )
    found = list(channels[: 2 * _MOST_CHANNELS])
    return TemplateResponse(
        request,
        "admin/notices/page.html",
        {
            **admin.site.each_context(request),
            "title": "Notices",
            "own": [channel for channel in found if channel.owner_id is not None],
            "shared": [channel for channel in found if channel.owner_id is None],
            "kinds": [(kind.value, kind.label, _ICONS[kind]) for kind in ChannelKind],
            "email_is_set_up": settings.EMAIL_IS_SET_UP,
        },
    )


def add_view(request: HttpRequest, kind: str) -> HttpResponse:
    """A new channel of one's own, or with `?shared=1` a shared one."""
    is_shared = request.GET.get("shared") == "1"
    if kind not in ChannelKind.values:
        raise Http404
    if not request.user.has_perm(SHARE if is_shared else OWN):
        raise PermissionDenied
    channel = Channel(kind=kind, owner_id=None if is_shared else request.user.pk)
    first = {
        "name": ChannelKind(kind).label.capitalize(),
        "topics": [Topic.CONFLICT, Topic.REJECTED, Topic.FAILED],
        "is_enabled": True,
    }
    if kind == ChannelKind.EMAIL and not is_shared:
        first["address"] = getattr(request.user, "email", "")
    form = ChannelForm(request.POST or None, initial=first, request=request, channel=channel)
    if request.method == "POST" and form.is_valid() and _has_room(request, form):
        return _make(request, form.fill())
    return _form_page(request, form, f"New {ChannelKind(kind).label} channel")


def _has_room(request: HttpRequest, form: ChannelForm) -> bool:
    beside = channels_of(request).filter(owner_id=form.channel.owner_id).count()
    if beside >= _MOST_CHANNELS:
        form.add_error(None, f"There are {beside} already. Remove one first.")
    return beside < _MOST_CHANNELS


def _make(request: HttpRequest, channel: Channel) -> HttpResponse:
    if channel.kind == ChannelKind.WEBHOOK:
        channel.secret = make_secret()
    channel.save()
    if channel.secret:
        context = {**admin.site.each_context(request), "title": channel.name, "channel": channel}
        return TemplateResponse(request, "admin/notices/made.html", context)
    messages.success(request, f"“{channel.name}” is saved. Send a test to see whether it arrives.")
    return redirect("admin:notices")


def change_view(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = _channel(request, channel_id)
    first = {
        "name": channel.name,
        "address": channel.address if channel.kind == ChannelKind.EMAIL else "",
        "organization": channel.organization_id,
        "topics": channel.topics,
        "is_enabled": channel.is_enabled,
    }
    form = ChannelForm(request.POST or None, initial=first, request=request, channel=channel)
    if request.method == "POST" and form.is_valid():
        changed = form.fill()
        changed.save(update_fields=["name", "address", "organization", "topics", "is_enabled"])
        messages.success(request, f"“{changed.name}” is saved.")
        return redirect("admin:notices")
    return _form_page(request, form, channel.name)


def _form_page(request: HttpRequest, form: ChannelForm, title: str) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "form": form,
        "channel": form.channel,
        "is_shared": form.channel.owner_id is None,
        "email_is_set_up": settings.EMAIL_IS_SET_UP,
    }
    return TemplateResponse(request, "admin/notices/form.html", context)


# Buttons ---------------------------------------------------------------------------------------------


@require_POST
def remove_view(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Tell nothing there any more, and forget its address; the log keeps its name."""
    channel = _channel(request, channel_id)
    channel.removed_at, channel.is_enabled = timezone.now(), False
    channel.address = channel.secret = ""
    channel.save(update_fields=["removed_at", "is_enabled", "address", "secret"])
    messages.success(request, f"“{channel.name}” is removed.")
    return redirect("admin:notices")


@require_POST
def test_view(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Send a test now, and say what came of it; nobody waits longer than a moment."""
    channel = _channel(request, channel_id)
    delivery = make_test(channel)
    work = begin(("notice", channel.pk), partial(deliver, delivery.pk))
    work.has_ended()
    delivery.refresh_from_db(fields=["state", "error", "http_status"])
    if delivery.state == DeliveryState.SENT:
        answered = f" and was answered {delivery.http_status}" if delivery.http_status else ""
        messages.success(request, f"The test of “{channel.name}” was sent{answered}.")
    elif delivery.state == DeliveryState.GAVE_UP:
        messages.error(request, f"The test of “{channel.name}” did not go through. {delivery.error}")
    else:
        messages.warning(
            request, f"“{channel.name}” is slow. The log of deliveries says what comes of the test."
        )
    return redirect("admin:notices")


def _channel(request: HttpRequest, channel_id: int) -> Channel:
    if not may_notice(request):
        raise PermissionDenied
    channel = channels_of(request).filter(pk=channel_id).first()
    if channel is None:
        raise Http404
    return channel


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the pages and buttons, for the admin site."""
    view = site.admin_view
    return [
        path("notices/", view(notices_page), name="notices"),
        path("notices/add/<str:kind>/", view(add_view), name="notices_add"),
        path("notices/<int:channel_id>/", view(change_view), name="notices_change"),
        path("notices/<int:channel_id>/remove/", view(remove_view), name="notices_remove"),
        path("notices/<int:channel_id>/test/", view(test_view), name="notices_test"),
    ]
