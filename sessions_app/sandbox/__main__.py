"""`python -m sessions_app.sandbox`: what `manage.py sandbox` does, up in a tenth of the time: without Django."""

import argparse
import sys

from sessions_app.sandbox.command import ABOUT, HELP, add_arguments, serve
from sessions_app.sandbox.options import BadOption

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m sessions_app.sandbox",
        description=ABOUT,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    try:
        serve(vars(parser.parse_args()))
    except BadOption as error:
        sys.stderr.write(f"sandbox: {error}\n")
        raise SystemExit(2) from None
