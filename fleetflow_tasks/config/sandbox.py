# SPDX-License-Identifier: Apache-2.0
"""Jinja2 without its doors, and with a meter.

Without doors: few filters, few methods, no globals but `range`, no multiplying of texts, no loops that call themselves.

With a meter, since a template is a program, and a few words of it can ask for a billion: `x ~ x` thirty times, a list that
holds itself twice, a loop inside a loop. What an expression reads or makes is weighed, a list with all that it holds, and a
rendering that has moved more than `MAX_WEIGHT` stops. Statements are not weighed: each leaves a mark in the output, which
`template` limits.

Importing this module imports Jinja2, which is slow: only a file that holds a template comes here.
"""

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import lru_cache
from itertools import islice
from math import isfinite

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, meta, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from fleetflow_tasks.config.limits import MAX_NESTING, MAX_NUMBER, MAX_PRECISION, MAX_TEXT, MAX_WEIGHT

_CHARACTERS = 16  # of a text, that weigh as much as a number

_FILTERS = (
    "abs", "capitalize", "first", "float", "int", "last", "length", "list", "lower", "reverse", "sort", "string", "title",
    "trim", "unique", "upper",
)  # fmt: skip
_METHODS = ("endswith", "items", "keys", "lower", "replace", "split", "startswith", "strip", "upper", "values")
_OF_LOOPS = ("first", "index", "index0", "last", "length", "revindex", "revindex0")
# No template can write these names: they hold a space.
_METER = "the meter"
_WEIGHED = "as weighed"


class TooMuchError(Exception):
    """The template asks for more than a file of services can need."""


class Meter:
    """left: what this rendering may still move."""

    def __init__(self) -> None:
        self.left = MAX_WEIGHT

    def weighed(self, value: object) -> object:
        """*value*, counted. Raises TooMuchError."""
        self.left -= self._weight(value)
        return value

    def made(self, value: object) -> object:
        """The same for what was made just now: an iterator is run, no further than there is weight left."""
        if isinstance(value, Iterator):
            value = list(islice(value, self.left + 1))
        return self.weighed(value)

    def _weight(self, value: object) -> int:
        """Level by level, so that what is held twice weighs twice: printing and comparing go through it twice as well."""
        weight = 0
        level = [value]
        for _ in range(MAX_NESTING + 1):
            below: list[object] = []
            for each in level:
                held, own = _held(each)
                weight += own
                if weight > self.left:
                    raise TooMuchError(f"it reads and makes more than {MAX_WEIGHT:,} values")
                below += held
            if not below:
                return weight
            level = below
        raise TooMuchError(f"its lists are nested more than {MAX_NESTING} deep")


def environment() -> SandboxedEnvironment:
    return _environment()


def names(tree: nodes.Template) -> list[str]:
    """The variables that the template needs from outside."""
    return sorted(meta.find_undeclared_variables(tree))


def chunks(tree: nodes.Template, known: Mapping[str, str]) -> Iterator[str]:
    """What the template puts out, piece by piece. Changes *tree*. Raises what a template may raise, and TooMuchError."""
    template: Template = environment().from_string(_Weighing().visit(tree))
    return template.generate({**known, _METER: Meter()})


def _held(value: object) -> tuple[list[object], int]:
    """What *value* holds, to be weighed too, and its own weight."""
    if isinstance(value, str):
        return [], 1 + len(value) // _CHARACTERS
    if isinstance(value, range):
        return [], 1 + len(value)
    if isinstance(value, (list, tuple, KeysView, ValuesView, ItemsView)):
        return list(value), 1
    if isinstance(value, dict):
        return [*value.keys(), *value.values()], 1
    return [], 1


def _meter(context: Context) -> Meter:
    found = context.resolve_or_missing(_METER)
    assert isinstance(found, Meter)  # noqa: S101  (`chunks` puts it there)
    return found


class _Weighing(NodeTransformer):
    """Puts the meter between the expressions of a template: every name that is read, every list, every long text.

    Operators, filters and calls weigh what they make by themselves.
    """

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802  (Jinja's names)
        """A name that is put out as it stands is counted by its length there."""
        node.nodes = [each if isinstance(each, nodes.Name) else self.visit(each) for each in node.nodes]
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:  # noqa: N802
        given = node.node
        self.generic_visit(node)
        if node.name in ("default", "d") and isinstance(given, nodes.Name):
            node.node = given
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        if node.recursive:
            raise TemplateSyntaxError("a loop cannot be `recursive`", node.lineno)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:  # noqa: N802
        return _weighing(node) if node.ctx == "load" else node

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:  # noqa: N802
        if isinstance(node.value, float) and not isfinite(node.value):
            raise TemplateSyntaxError("a number is too large", node.lineno)
        return _weighing(node) if isinstance(node.value, str) and len(node.value) > _CHARACTERS else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        """`a ~ b` as `[a, b] | join`, which knows its limit."""
        self.generic_visit(node)
        return nodes.Filter(nodes.List(node.nodes, lineno=node.lineno), "join", [], [], None, None, lineno=node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighing(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighing(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighing(node) if node.ctx == "load" else node


def _weighing(node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, _WEIGHED, [], [], None, None, lineno=node.lineno)


class _Environment(SandboxedEnvironment):
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if operator == "**":
            raise SecurityError("`**` is not supported")
        if operator in ("*", "%") and not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"`{operator}` is for numbers only")
        value = super().call_binop(context, operator, left, right)
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise OverflowError(f"`{operator}` makes a number beyond {MAX_NUMBER}")
        return _meter(context).weighed(value)

    def call(self, context: Context, called: object, /, *args: object, **kwargs: object) -> object:
        if getattr(called, "__name__", "") == "replace" and isinstance(own := getattr(called, "__self__", None), str):
            return replace(context, own, *args, **kwargs)  # type: ignore[arg-type]  # `str.replace` looks at what it is given
        return _meter(context).made(super().call(context, called, *args, **kwargs))

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        if isinstance(obj, LoopContext):
            return attr in _OF_LOOPS
        return attr in _METHODS and isinstance(obj, (str, dict)) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: object) -> None:
        """Jinja lets `format` in by a door of its own, and `"{:999999999}"` with it. It is a method like others here."""


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    made = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, finalize=_as_text)
    made.globals = {"range": made.globals["range"]}
    known = {name: _metered(made.filters[name]) for name in _FILTERS}
    own = {"default": default, "d": default, "join": join, "replace": replace, "round": _rounded}
    made.filters = {**known, **own, _WEIGHED: _weighed}
    return made


def _metered(plain: Callable[..., object]) -> Callable[..., object]:
    """Jinja's own filter; what it makes is weighed."""

    @pass_context
    def metered(context: Context, value: object, *args: object, **kwargs: object) -> object:
        return _meter(context).made(plain(*_wanted(plain, context), value, *args, **kwargs))

    return metered


def _wanted(plain: Callable[..., object], context: Context) -> tuple[object, ...]:
    """What Jinja hands to a filter that asks for it."""
    match getattr(getattr(plain, "jinja_pass_arg", None), "name", ""):
        case "environment":
            return (context.environment,)
        case "eval_context":
            return (context.eval_ctx,)
        case _:
            return ()


@pass_context
def _weighed(context: Context, value: object) -> object:
    return _meter(context).weighed(value)


@pass_context
def default(
    context: Context, given: object, default_value: object = "", boolean: bool = False, *, value: object = None
) -> object:
    """Jinja's `default("x")` and Tera's `default(value="x")`."""
    missing = isinstance(given, Undefined) or (boolean and not given)
    other = default_value if value is None else value
    return _meter(context).weighed(other if missing else given)


@pass_context
def join(context: Context, values: object, between: str = "") -> object:
    texts = [str(each) for each in values]  # type: ignore[attr-defined]  # what is no list says so itself
    _check_length(sum(len(text) for text in texts) + len(between) * len(texts))
    return _meter(context).weighed(str(between).join(texts))


@pass_context
def replace(context: Context, text: object, old: object, new: object, count: int = -1) -> object:
    """`replace` as a filter and as a method."""
    source, wanted, put = str(text), str(old), str(new)
    _check_length(len(source) + source.count(wanted) * len(put))
    return _meter(context).weighed(source.replace(wanted, put, count))


def _check_length(length: int) -> None:
    if length > MAX_TEXT:
        raise TooMuchError(f"it makes a text of more than {MAX_TEXT >> 20} MiB")


def _rounded(value: float, precision: int = 0, method: str = "common") -> float:
    """As Jinja's, but not to a billion digits."""
    from jinja2.filters import do_round

    if abs(precision) > MAX_PRECISION:
        raise ValueError(f"`round` takes at most {MAX_PRECISION} digits")
    return do_round(value, precision, method)  # type: ignore[arg-type]  # it checks the method itself


def _as_text(value: object) -> object:
    """What an expression puts out. A NUL is what the marks are made of, and no KDL text holds one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a value holds a NUL character")
    return value
