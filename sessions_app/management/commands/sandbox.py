"""`manage.py sandbox`: a simulated Vapi in the foreground; needs neither database nor migrations."""

import argparse

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.sandbox.command import ABOUT, HELP, add_arguments, serve
from sessions_app.sandbox.options import BadOption


class Command(BaseCommand):
    help = ABOUT
    requires_system_checks = []
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: object) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            epilog=HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, **options: object) -> None:
        try:
            serve(options)
        except BadOption as error:
            raise CommandError(str(error), returncode=2) from None
