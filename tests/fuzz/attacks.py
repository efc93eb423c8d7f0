# SPDX-License-Identifier: Apache-2.0
"""Projects made to take all time and memory there is, or to crash the process: name -> what writes the project.

A billion laughs in every place where a text can ask for more than it is: blocks, comments, numbers, templates, variables,
`.env`, includes, patterns, links, and what stands where a file is expected.
"""

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

Attack = Callable[[Path], None]

SHELL = '\nservice "a" { image "a:1" }\nstage "local" { service "a" }\n'
LINES = 5000
DEEP = 100_000
MILLION = 1_000_000
QUARTER = 250_000


def _text(text: Callable[[], str | bytes]) -> Attack:
    def write(folder: Path) -> None:
        content = text()
        (folder / "fleet.kdl").write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def _template(text: Callable[[], str]) -> Attack:
    return _text(lambda: f"{SHELL}// {text()}\n")


def _service(body: Callable[[], str]) -> Attack:
    return _text(lambda: f'service "a" {{ image "a:1"; {body()} }}\nstage "local" {{ service "a" }}\n')


def _dotenv(text: Callable[[], str]) -> Attack:
    def write(folder: Path) -> None:
        _service(lambda: 'environment { X "${A:-1}" }')(folder)
        (folder / ".env").write_text(text(), encoding="utf-8")

    return write


def _numbered(line: Callable[[int], str], count: int) -> str:
    return "".join(line(number) for number in range(1, count))


def _stage(names: Iterable[str], before: str = "") -> str:
    return f'stage "local" {{ {before}\n' + "".join(f'service "{name}"\n' for name in names) + "}"


# The ones that end within half a second, each of another kind: what `make test` has time for.
QUICK = (
    "blocks", "blocks closed", "annotations", "slashdashes", "digits", "a long line of nodes", "ten megabytes", "utf-16",
    "half a pair", "a raw string", "a NUL", "huge range", "loops in loops", "loop without output", "a text doubled", "a list doubled",
    "big integers", "join", "replace", "format", "rounding", "infinity", "recursive loop", "parentheses", "statements",
    "variables doubled", "variables in a row", "defaults in defaults", "a number as a variable", "lines of spaces",
    "bad lines", "env is a pipe", "secret is a pipe", "secret is a gigabyte", "include is a pipe", "include is endless",
    "file is a link to itself", "services is a link to itself", "includes in a row", "a pattern over links",
)  # fmt: skip

TEXTS: Mapping[str, Attack] = {
    "blocks": _text(lambda: "a {" * DEEP),
    "blocks closed": _text(lambda: "a {" * DEEP + "}" * DEEP + SHELL),
    "braces": _text(lambda: "{" * DEEP),
    "brackets": _text(lambda: "]" * 4 * MILLION),
    "annotations": _text(lambda: "(" * QUARTER),
    "annotations without end": _text(lambda: "(a)" * QUARTER + "b"),
    "slashdashes": _text(lambda: "/-" * QUARTER + "b"),
    "slashdashes over lines": _text(lambda: "/- \n" * QUARTER + "b"),
    "comments": _text(lambda: "/*" * QUARTER + "*/" * QUARTER + SHELL),
    "comments that do not end": _text(lambda: "/*" * QUARTER),
    "joined lines": _text(lambda: "a " + "\\\n" * QUARTER),
    "joined by comments": _text(lambda: "a \\" + "/**/" * QUARTER),
    "quotes": _text(lambda: '"' * MILLION),
    "many quotes": _text(lambda: '"""' + '""\\"' * QUARTER),
    "a raw string": _text(lambda: "#" * MILLION + '"'),
    "raw strings": _text(lambda: "\n".join("#" * number + '"' for number in range(1, 1400))),
    "no spaces": _text(lambda: "a " + '"x"' * QUARTER),
    "ten megabytes": _text(lambda: "a" * 10 * MILLION),
    "a megabyte of one word": _text(lambda: "a" * MILLION),
    "a megabyte of a name": _text(lambda: f'"{"n" * MILLION}"{SHELL}'),
    "a megabyte of a string": _service(lambda: f'command "{"x" * MILLION}"'),
    "digits": _service(lambda: f"replicas {'9' * MILLION}"),
    "hexadecimal digits": _service(lambda: f"version 0x{'f' * MILLION}"),
    "decimals": _service(lambda: f"version 1.{'9' * MILLION}"),
    "exponents": _service(lambda: "replicas 1e999999999; timeout 1e-999"),
    "a long line of nodes": _text(lambda: "a;" * 10_000 + SHELL),
    "nodes": _text(lambda: "a;" * 2 * MILLION),
    "as many nodes as may be": _text(lambda: "a;" * 290_000 + SHELL),
    "nodes in nodes that are left out": _text(lambda: "/-a {" + "a;" * 290_000 + "}" + SHELL),
    "values": _text(lambda: "a " + "1 " * 290_000 + SHELL),
    "properties": _text(lambda: "a " + "".join(f"k{number}=1 " for number in range(100_000)) + SHELL),
    "errors": _service(lambda: "replicas -1;" * 80_000),
    "errors in a service with a long name": _text(lambda: f'service "{"x" * MILLION}" {{ {"b;" * QUARTER} }}{SHELL}'),
    "a mistake at the end": _text(lambda: "a b=1\n" * 90_000 + 'a b="\\q"'),
    "a mistake in the depth": _text(lambda: "a { b c=1; " * 60 + 'x "\\q"; ' + "y 1;" * 90_000 + "}" * 60),
    "names of variables": _service(lambda: f"environment {{ {_numbered(lambda n: f'A{n} 1;', 80_000)} }}"),
    "ports": _service(lambda: _numbered(lambda n: f"port {n};", 60_000)),
    "stages": _text(
        lambda: 'service "a" { image "a:1" }\n' + _numbered(lambda n: f'stage "s{n}" {{ service "a" }}\n', 9000)
    ),
    "the same stage": _text(lambda: 'service "a" { image "a:1" }\n' + 'stage "local" { service "a" }\n' * 35_000),
    "the same service": _text(lambda: SHELL + 'service "a" { image "a:1" }\n' * 35_000),
    "a mebibyte of quantities": _service(
        lambda: f'timeout "{"1h" * QUARTER}"; resources {{ memory "{"1" * MILLION}" }}'
    ),
    "a megabyte of an image": _service(lambda: f'image "{"a/" * QUARTER}"; image "{"a." * QUARTER}!"'),
    "unknown services": _text(lambda: _stage(f"s{number}" for number in range(50_000))),
    "unknown dependencies": _text(
        lambda: (
            _numbered(lambda n: f'service "s{n}" {{ image "a:1"; depends_on "x{n}" }}\n', LINES)
            + _stage(f"s{number}" for number in range(1, LINES))
        )
    ),
    "a chain of dependencies": _text(
        lambda: (
            _numbered(lambda n: f'service "s{n}" {{ image "a:1"; depends_on "s{n - 1}" }}\n', LINES)
            + 'service "s0" { image "a:1" }\n'
            + _stage(f"s{number}" for number in range(LINES))
        )
    ),
    "variables times services": _text(
        lambda: (
            _numbered(lambda n: f'service "s{n}" {{ image "a:1" }}\n', LINES)
            + _stage((f"s{n}" for n in range(1, LINES)), f"variables {{ {_numbered(lambda n: f'A{n} 1;', LINES)} }}")
        )
    ),
    "a NUL": _text(lambda: f"{SHELL}\0"),
    "not UTF-8": _text(lambda: SHELL.encode() + b"\xff\xfe"),
    "utf-16": _text(lambda: SHELL.encode("utf-16")),
    "half a pair": _text(lambda: f'project "\\u{{d800}}"{SHELL}'),
    "half a pair in bytes": _text(lambda: f'project "\ud800"{SHELL}'.encode("utf-8", "surrogatepass")),
    "two byte order marks": _text(lambda: f"\ufeff\ufeff{SHELL}"),
    "carriage returns": _text(lambda: SHELL.replace("\n", "\r")),
    "nothing": _text(lambda: ""),
}

TEMPLATES: Mapping[str, Attack] = {
    "huge range": _template(lambda: "{% for i in range(1000000000000) %}x{% endfor %}"),
    "a power": _template(lambda: "{% for i in range(10**12) %}x{% endfor %} {{ 9**9**9 }}"),
    "loops in loops": _template(
        lambda: "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}"
    ),
    "loop without output": _template(
        lambda: "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "loop over a loop": _template(
        lambda: "{% for i in range(99999) %}{% if range(99999) | last == i %}{% endif %}{% endfor %}"
    ),
    "loop over a sorted one": _template(
        lambda: "{% for i in range(99999) %}{% for j in range(99999)|reverse if 0 %}{% endfor %}{% endfor %}"
    ),
    "statements in a loop": _template(
        lambda: "{% for i in range(99999) %}" + "{% set a = 1 %}" * 9000 + "{% endfor %}"
    ),
    "conditions in a loop": _template(
        lambda: "{% for i in range(99999) %}{% if i == 'a' %}" + "{% elif i == 'b' %}" * 50 + "{% endif %}{% endfor %}"
    ),
    "recursive loop": _template(lambda: "{% for x in [1, 1] recursive %}{{ loop([1, 1]) }}{% endfor %}"),
    "a text times a billion": _template(lambda: '{{ "x" * 1000000000 }}'),
    "a list times a billion": _template(lambda: "{{ [0] * 1000000000 }}"),
    "a text doubled": _template(lambda: "{% set x = 'x' %}" + "{% set x = x ~ x %}" * 60),
    "a text added": _template(lambda: "{% set x = 'x' %}" + "{% set x = x + x %}" * 60),
    "a list added": _template(lambda: "{% set x = ['x'] %}" + "{% set x = x + x %}" * 60),
    "a list doubled": _template(lambda: "{% set x = [1, 1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}"),
    "a map doubled": _template(lambda: "{% set x = {1: 1} %}" + "{% set x = {1: x, 2: x} %}" * 60 + "{{ x | string }}"),
    "lists compared": _template(
        lambda: "{% set x = [1] %}{% set y = [1] %}" + "{% set x = [x, x] %}{% set y = [y, y] %}" * 60 + "{{ x == y }}"
    ),
    "a list in lists": _template(
        lambda: "{% set x = (1,) %}" + "{% set x = (x,) %}" * 9000 + "{{ [x] | unique | list }}"
    ),
    "big integers": _template(lambda: "{% set x = 9 %}" + "{% set x = x * x %}" * 40),
    "digits in a template": _template(lambda: f"{{{{ {'9' * 10_000} }}}}"),
    "join": _template(lambda: f"{{{{ range(99999) | join('{'x' * 50_000}') }}}}"),
    "replace": _template(lambda: "{% set x = 'x' %}" + "{% set x = x | replace('x', 'xxxxxxxxxx') %}" * 12),
    "the method replace": _template(lambda: "{% set x = 'x' %}" + "{% set x = x.replace('x', 'xxxxxxxxxx') %}" * 12),
    "format": _template(lambda: "{{ '{:999999999}'.format(1) }} {{ '%999999999d' % 1 }}"),
    "rounding": _template(lambda: "{{ 1.5 | round(1000000000, 'ceil') }} {{ 5 | round(-1000000000) }}"),
    "infinity": _template(lambda: "{{ 1e999 }} {{ 'inf' | float | int }}"),
    "parentheses": _template(lambda: f"{{{{ {'(' * 20_000}1{')' * 20_000} }}}}"),
    "lists in lists": _template(lambda: f"{{{{ {'[' * 5000}{']' * 5000} }}}}"),
    "not not": _template(lambda: f"{{{{ {'not ' * 20_000}1 }}}}"),
    "a long sum": _template(lambda: f"{{{{ {'1 + ' * 40_000}1 }}}}"),
    "many filters": _template(lambda: f"{{{{ 'x' {'| upper ' * 30_000} }}}}"),
    "conditions in conditions": _template(lambda: "{% if 1 %}" * 5000 + "{% endif %}" * 5000),
    "loops in loops in loops": _template(lambda: "{% for i in [1] %}" * 30 + "{% endfor %}" * 30),
    "statements": _template(lambda: "{% set a = 1 %}" * 60_000),
    "as many statements as may be": _template(lambda: "{% if 1 %}a{% endif %}" * 7500),
    "expressions": _template(lambda: "".join(f"{{{{ x{number} }}}}" for number in range(60_000))),
    "a list of all": _template(lambda: f"{{{{ [{'1,' * 200_000}] | length }}}}"),
    "beginnings": _template(lambda: "{{" * QUARTER),
    "beginnings of statements": _template(lambda: "{% " * QUARTER),
    "beginnings of comments": _template(lambda: "{#" * QUARTER),
    "variables behind conditions": _text(lambda: SHELL + "{% if 1 %}{% endif %}variables {}\n" * 7000),
    "templates in variables": _text(
        lambda: f"variables {{ {_numbered(lambda n: f'A{n} {chr(123) * 2}1{chr(125) * 2};', 12_000)} }}{SHELL}"
    ),
}

VARIABLES: Mapping[str, Attack] = {
    "variables doubled": _text(
        lambda: (
            f'variables {{ A0 "xxxxxxxxxx"; {_numbered(lambda n: f"A{n} {chr(34)}${{A{n - 1}}}${{A{n - 1}}}{chr(34)};", 40)} }}'
            f'\nservice "a" {{ image "${{A39}}" }}\nstage "local" {{ service "a" }}'
        )
    ),
    "variables in a row": _text(
        lambda: (
            f"variables {{ {_numbered(lambda n: f'A{n} {chr(34)}${{A{n + 1}}}{chr(34)};', 20_000)} A20000 1 }}"
            f'\nservice "a" {{ image "${{A1}}" }}\nstage "local" {{ service "a" }}'
        )
    ),
    "defaults in defaults": _service(lambda: f'command "{"${A:-" * DEEP}{"}" * DEEP}"'),
    "references": _service(lambda: f'command "{"${" * DEEP}"'),
    "a large variable many times": _text(
        lambda: f'variables {{ A "{"x" * 10_000}" }}{SHELL}service "a" {{ command "{"${A}" * DEEP}" }}'
    ),
    "a large variable in many values": _text(
        lambda: (
            f'variables {{ A "{"x" * MILLION}" }}{SHELL}'
            f'service "a" {{ environment {{ {_numbered(lambda n: f"A{n} {chr(34)}${{A}}{chr(34)};", 20_000)} }} }}'
        )
    ),
    "a large variable pasted": _text(lambda: f'variables {{ A "{"x" * 10_000}" }}{SHELL}// {"{{ A }}" * 10_000}'),
    "undefined variables": _service(
        lambda: f"environment {{ {_numbered(lambda n: f'A{n} {chr(34)}${{B{n}}}{chr(34)};', 40_000)} }}"
    ),
    "a number as a variable": _text(lambda: f"variables {{ A {'9' * MILLION} }}{SHELL}"),
    "a number as an include": _text(lambda: f"include {'9' * MILLION}{SHELL}"),
}

DOTENVS: Mapping[str, Attack] = {
    "ten megabytes of env": _dotenv(lambda: "A=1\n" * 2_500_000),
    "lines of env": _dotenv(lambda: _numbered(lambda n: f"A{n}=1\n", 90_000)),
    "bad lines": _dotenv(lambda: "=\n" * MILLION),
    "lines of spaces": _dotenv(lambda: "A=x" + " " * MILLION + "x\nB" + " " * MILLION + "x"),
    "tabs before a quote": _dotenv(lambda: "A=" + "\t" * MILLION + "'"),
    "quotes over lines": _dotenv(lambda: "A='x\nB=\"y\n" * DEEP),
    "quotes with backslashes": _dotenv(lambda: 'A="\\' * QUARTER),
    "hashes": _dotenv(lambda: "A=" + " #" * QUARTER),
    "exports": _dotenv(lambda: "export " * DEEP),
    "env doubled": _dotenv(
        lambda: "B0=xxxxxxxx\n" + _numbered(lambda n: f"B{n}=${{B{n - 1}}}${{B{n - 1}}}\n", 40) + "A=${B39}"
    ),
    "env that needs itself": _dotenv(lambda: "A=${A}"),
}


def _included(name: str, make: Attack) -> Attack:
    def write(folder: Path) -> None:
        (folder / "fleet.kdl").write_text(f'include "{name}"{SHELL}', encoding="utf-8")
        make(folder)

    return write


def _asked_for(node: str, make: Callable[[Path], object]) -> Attack:
    """The file `x`, wanted by a node of a service."""

    def write(folder: Path) -> None:
        _service(lambda: node)(folder)
        make(folder / "x")

    return write


def _beside(name: str, make: Callable[[Path], object]) -> Attack:
    def write(folder: Path) -> None:
        _text(lambda: SHELL)(folder)
        path = folder / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        make(path)

    return write


def _gigabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**30)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path has its limit
        made.bind(path.name)
        os.chdir(before)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _includes(folder: Path, count: int, line: Callable[[int], str]) -> None:
    for number in range(1, count):
        (folder / f"i{number}.kdl").write_text(line(number), encoding="utf-8")


def _many(folder: Path, count: int, content: str) -> None:
    for number in range(count):
        (folder / f"m{number}.kdl").write_text(content, encoding="utf-8")


def _links(folder: Path) -> None:
    for number in range(10):
        (folder / f"l{number}").symlink_to(".")


def _upwards(path: Path) -> None:
    path.mkdir()
    (path / "a").symlink_to("..")


def _deep(folder: Path) -> None:
    """Deeper than a path may be long, so one step after the other."""
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    for _ in range(1500):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(before)


SECRET = 'secrets { S file="x" }'
ENV_FILE = 'env_file "x"'
FOLDERS: Mapping[str, Attack] = {
    "env is a pipe": _beside(".env", os.mkfifo),
    "env is endless": _beside(".env", _endless),
    "secret is a pipe": _asked_for(SECRET, os.mkfifo),
    "secret is endless": _asked_for(SECRET, _endless),
    "secret is a gigabyte": _asked_for(SECRET, _gigabyte),
    "secret is a folder": _asked_for(SECRET, Path.mkdir),
    "env file is a pipe": _asked_for(ENV_FILE, os.mkfifo),
    "env file is endless": _asked_for(ENV_FILE, _endless),
    "env file is a gigabyte": _asked_for(ENV_FILE, _gigabyte),
    "many secrets of a large file": _asked_for(
        f"secrets {{ {_numbered(lambda n: f'A{n} file={chr(34)}x{chr(34)};', 20_000)} }}",
        lambda path: path.write_text("x" * MILLION, encoding="utf-8"),
    ),
    "file is a pipe": _beside("fleet.kdl", os.mkfifo),
    "file is a folder": _beside("fleet.kdl", Path.mkdir),
    "file is endless": _beside("fleet.kdl", _endless),
    "file is a socket": _beside("fleet.kdl", _socket),
    "file is a link to itself": _beside("fleet.kdl", _to_itself),
    "services is a link to itself": _beside("services", _to_itself),
    "services is all there is": _beside("services", lambda path: path.symlink_to("/")),
    "services has no bottom": _beside("services", _deep),
    "services holds itself": _beside("services", _upwards),
    "services holds a pipe": _beside("services/x.kdl", os.mkfifo),
    "services holds a folder called like a file": _beside("services/x.kdl", Path.mkdir),
    "include is a pipe": _included("x.kdl", lambda folder: os.mkfifo(folder / "x.kdl")),
    "include is endless": _included("x.kdl", lambda folder: _endless(folder / "x.kdl")),
    "include is a terminal": _included("/dev/tty", lambda _: None),
    "includes in a row": _included(
        "i1.kdl", lambda folder: _includes(folder, 3000, lambda n: f'include "i{n + 1}.kdl"')
    ),
    "includes doubled": _included(
        "i1.kdl", lambda folder: _includes(folder, 60, lambda n: f'include "i{n + 1}.kdl" "./i{n + 1}.kdl"')
    ),
    "includes many files": _included("m*.kdl", lambda folder: _many(folder, 3000, "")),
    "includes many large files": _included("m*.kdl", lambda folder: _many(folder, 40, "// " + "x" * MILLION)),
    "includes many files of nodes": _included("m*.kdl", lambda folder: _many(folder, 40, "a " * 100_000)),
    "includes many templates": _included("m*.kdl", lambda folder: _many(folder, 40, "// " + "{{ 1 }}" * 15_000)),
    "the same file many times": _text(lambda: 'include "m*.kdl"\n' * 40_000 + SHELL),
    "a pattern over all there is": _text(lambda: f'include "/**/*.kdl"{SHELL}'),
    "a pattern over links": _included("*/" * 30 + "*.kdl", _links),
    "a pattern of stars": _included("*a" * 50 + "b", lambda folder: (folder / ("a" * 200)).mkdir()),
    "a pattern of folders": _included("**/" * 500 + "x/*.kdl", _deep),
    "a long pattern": _text(lambda: f'include "{"?" * MILLION}"{SHELL}'),
    "a long path": _text(lambda: f'include "{"a/" * QUARTER}"{SHELL}'),
}

ATTACKS: Mapping[str, Attack] = {**TEXTS, **TEMPLATES, **VARIABLES, **DOTENVS, **FOLDERS}
