"""The admin site: Unfold's, with pages of our own."""

from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class Site(UnfoldAdminSite):
    pass
