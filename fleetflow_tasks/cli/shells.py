# SPDX-License-Identifier: Apache-2.0
"""How bash, zsh and fish ask for completions: click's own scripts and words, with `--option=value` mended.

bash takes such a word apart at the `=` and wants the value alone in return; the other two leave it whole, and want it
back whole.
"""

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)


class _Line(ShellComplete):
    """Keeps the words that stand on the line, as `ctx.obj`: click forgets them where the last is an option without its value."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        self.ctx_args = {**self.ctx_args, "obj": args}
        return super().get_completions(args, incomplete)


class Bash(_Line, BashComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = _joined([*args, incomplete])
        return words[:-1], words[-1]


class Zsh(_Line, ZshComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole(super().get_completions(args, incomplete), incomplete)


class Fish(_Line, FishComplete):
    # click's script takes what it is answered apart at each comma, and a list of services holds some.
    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole(super().get_completions(args, incomplete), incomplete)


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Tell click to use these."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)


def _joined(words: list[str]) -> list[str]:
    """`--only`, `=`, `api` as the one word that it is."""
    joined: list[str] = []
    for word in words:
        if joined and (
            (word == "=" and joined[-1].startswith("--")) or (joined[-1].startswith("--") and joined[-1].endswith("="))
        ):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _whole(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    option, equals, _ = incomplete.partition("=")
    if not (equals and option.startswith("--")):
        return items
    return [CompletionItem(f"{option}={item.value}", type=item.type, help=item.help) for item in items]
