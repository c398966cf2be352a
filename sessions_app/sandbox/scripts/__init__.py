"""The conversations that come with the sandbox, all invented: five businesses, seven languages."""

from sessions_app.sandbox.scripts import dental
from sessions_app.sandbox.scripts.writing import Script

BUSINESSES = ("dental", "hotel", "internet", "parcels", "bank")
SCRIPTS: tuple[Script, ...] = (*dental.SCRIPTS,)
