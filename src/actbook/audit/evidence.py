"""Evidence must be computed: the argument of a call is read in its source, literals are refused.

The check catches evidence that was typed instead of computed. It reads the syntax tree of the very
call (found by the position that the frame reports), follows a name to its last assignment in the
same source or in an earlier cell, and refuses what cannot depend on anything executed.
"""

import ast
import builtins
import linecache
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from actbook.audit.errors import AuditError

_BUILTINS = frozenset(dir(builtins))
_TRUTHS = frozenset({"true", "false", "True_", "False_"})
_WRAPPERS = frozenset({"bool", "bool_", "sympify", "S", "int", "all", "any", "not_", "truth"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def truth(value: object, what: str) -> bool:
    """A computed truth value as a bool: Python's, NumPy's or SymPy's; anything else is refused."""
    if isinstance(value, bool):
        return value
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if module == "numpy" and kind.__name__ in ("bool", "bool_"):
        return bool(value)
    if module == "sympy" and kind.__name__ in ("BooleanTrue", "BooleanFalse"):
        return bool(value)
    hint = ""
    if module == "sympy":
        hint = "; an unevaluated relation decides nothing, simplify it first"
    elif module in ("numpy", "torch"):
        hint = "; reduce an array with .all() or .any(), a tensor with .item()"
    raise AuditError(
        f"{what} is a {module}.{kind.__qualname__}; allowed are the truth values of Python, "
        f"NumPy and SymPy{hint}"
    )


def _parse(source: str) -> ast.Module | None:
    """The syntax tree of a cell or file; None for what is not Python."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree = compile(source, "<source>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _call(frame: FrameType, name: str) -> tuple[ast.Call, list[ast.Module]]:
    """The call that a frame is executing, and the trees in which its names may be assigned."""
    code = frame.f_code
    lines = linecache.getlines(code.co_filename, frame.f_globals)
    tree = _parse("".join(lines)) if lines else None
    if tree is None:
        raise AuditError(
            f"{name} could not read the source of its call ({code.co_filename}), and so cannot see "
            "that the evidence was computed; call it from a notebook cell or a file"
        )
    position = next(
        place for index, place in enumerate(code.co_positions()) if index == frame.f_lasti // 2
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and position == (
            node.lineno,
            node.end_lineno,
            node.col_offset,
            node.end_col_offset,
        ):
            history = frame.f_globals.get("_ih", [])
            cells = [_parse(cell) for cell in reversed(history[:-1]) if isinstance(cell, str)]
            return node, [tree, *(cell for cell in cells if cell is not None)]
    raise AuditError(f"{name}: call it by a plain call, not through another function")


def _assigned(name: str, trees: list[ast.Module], before: int) -> ast.AST | None:
    """The last value assigned to a name, or its function: above the call, then in older cells."""
    for index, tree in enumerate(trees):
        found: ast.AST | None = None
        for node in ast.walk(tree):
            if index == 0 and getattr(node, "lineno", 0) > before:
                continue
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == name for target in node.targets
            ):
                found = _later(found, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
                if isinstance(node.target, ast.Name) and node.target.id == name and node.value:
                    found = _later(found, node.value)
            elif isinstance(node, _FUNCTIONS) and node.name == name:
                found = _later(found, node)
        if found is not None:
            return found
    return None


def _later(one: ast.AST | None, two: ast.AST) -> ast.AST:
    """Of two nodes the one that stands later in its source."""
    return two if one is None or two.lineno >= one.lineno else one  # type: ignore[attr-defined]


class _Literals:
    """Decides whether an expression is a truth value written down rather than computed."""

    def __init__(self, trees: list[ast.Module], before: int) -> None:
        self._trees = trees
        self._before = before
        self._open: set[str] = set()

    def check(self, node: ast.AST | None) -> bool:
        """True when the value of the expression cannot depend on an executed computation."""
        match node:
            case None:
                return False
            case ast.Constant():
                return True
            case ast.UnaryOp(operand=operand):
                return self.check(operand)
            case ast.BoolOp(values=values):
                return any(self.check(value) for value in values)
            case ast.IfExp(body=body, orelse=orelse):
                return self.check(body) or self.check(orelse)
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                return self.check(value)
            case ast.Attribute(attr=attr):
                return attr in _TRUTHS
            case ast.Name(id=name):
                return self._name(name)
            case ast.Call():
                return self._call(node)
            case ast.Subscript(value=value):
                return self._member(value)
            case ast.Compare() | ast.BinOp() | ast.JoinedStr():
                return not any(True for _ in self._names(node))
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return any(self.check(element) for element in elements)
        return False

    def _names(self, node: ast.AST) -> Iterator[str]:
        """The names in an expression that are not Python's own."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id not in _BUILTINS:
                yield part.id

    def _name(self, name: str) -> bool:
        """Follows a name; a number may be assigned and then compared, a truth value may not."""
        if name in self._open:
            return False
        value = _assigned(name, self._trees, self._before)
        if value is None:
            return False
        self._open.add(name)
        try:
            if isinstance(value, _FUNCTIONS):
                return False
            if isinstance(value, ast.Constant):
                return isinstance(value.value, bool)
            return self.check(value)
        finally:
            self._open.discard(name)

    def _call(self, node: ast.Call) -> bool:
        """A wrapper around a literal, or a function that does nothing but return one."""
        function = node.func
        if isinstance(function, ast.Lambda):
            return self.check(function.body)
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name in _WRAPPERS and node.args:
            return all(self.check(argument) for argument in node.args)
        if isinstance(function, ast.Name) and not node.args:
            body = _assigned(function.id, self._trees, self._before)
            if isinstance(body, ast.Lambda):
                return self.check(body.body)
            if isinstance(body, _FUNCTIONS):
                returns = [part for part in ast.walk(body) if isinstance(part, ast.Return)]
                return bool(returns) and all(isinstance(r.value, ast.Constant) for r in returns)
        return False

    def _member(self, container: ast.AST) -> bool:
        """An entry of a dictionary or list that was written with truth values in it."""
        if isinstance(container, ast.Name):
            found = _assigned(container.id, self._trees, self._before)
            return found is not None and self._member(found)
        match container:
            case ast.Dict(values=values):
                return any(self.check(value) for value in values)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return any(self.check(element) for element in elements)
        return False


def _parts(node: ast.AST, trees: list[ast.Module], before: int) -> list[ast.AST]:
    """The expressions to look at: the values of a dictionary of cases, else the whole."""
    if isinstance(node, ast.Name):
        found = _assigned(node.id, trees, before)
        if isinstance(found, (ast.Dict, ast.DictComp, ast.Call)):
            return _parts(found, trees, before)
    match node:
        case ast.Dict(values=values):
            return list(values)
        case ast.DictComp(value=value):
            return [value]
        case ast.Call(func=ast.Name(id="dict"), args=arguments, keywords=keywords):
            pairs = [pair for a in arguments for pair in getattr(a, "elts", [])]
            values = [pair.elts[1] for pair in pairs if len(getattr(pair, "elts", [])) == 2]
            return [*values, *(keyword.value for keyword in keywords)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_parts(left, trees, before), *_parts(right, trees, before)]
    return [node]


def refuse_literals(depth: int, name: str, argument: str) -> None:
    """Raise unless ``argument`` of the call ``depth`` frames up is computed.

    Raises AuditError for a literal, an expression without a name in it, a name that was given a
    truth value, a function that returns one, ``or True`` and the like, and unreadable source.
    """
    call, trees = _call(sys._getframe(depth), name)
    keyword = next((k for k in call.keywords if k.arg == argument), None)
    if keyword is None:
        raise AuditError(f"{name}: write {argument}=… in the call itself")
    literals = _Literals(trees, call.lineno)
    for part in _parts(keyword.value, trees, call.lineno):
        if literals.check(part):
            raise AuditError(
                f"{name}: {argument}={ast.unparse(keyword.value)} is written down, not computed; "
                "give the value of a check that the cell has executed"
            )


def cases_of(value: object) -> Mapping[Any, object]:
    """The cases of a verdict that depends; raises for anything but a mapping."""
    if not isinstance(value, Mapping):
        raise AuditError(
            f"holds is {value!r}; a verdict that depends takes a dictionary with a truth value "
            "for every case"
        )
    return value
