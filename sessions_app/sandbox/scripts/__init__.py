"""The conversations that come with the sandbox: all invented, told in the text files beside this one."""

from sessions_app.sandbox.scripts.writing import BUSINESSES, Script, read_scripts

__all__ = ["BUSINESSES", "SCRIPTS", "Script"]

SCRIPTS: tuple[Script, ...] = tuple(
    script for number in range(len(BUSINESSES)) for script in read_scripts(number)
)
