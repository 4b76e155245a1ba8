"""What a mutant is: one operator, comparison, constant or choice of one module, changed in its syntax tree. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add}
_JOINED: dict[type[ast.boolop], type[ast.boolop]] = {ast.And: ast.Or, ast.Or: ast.And}
_NAMED = {"min": "max", "max": "min", "any": "all", "all": "any", "bisect_left": "bisect_right"}
_NAMED |= {"bisect_right": "bisect_left"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """The `number`-th change that a module allows; `told` says what and where, `functions` holds the first lines of
    those around it."""

    module: str
    number: int
    told: str
    functions: frozenset[int] = frozenset()


def find_mutants(module: str, text: str) -> list[Mutant]:
    """Return every mutant of a module's text."""
    lines, tree = text.splitlines(), ast.parse(text)
    found = []
    for number, (node, told) in enumerate(_places(tree)):
        at = getattr(node, "lineno", 0)
        around = frozenset(_first_line(f) for f in _functions(tree) if f.lineno <= at <= (f.end_lineno or at))
        found.append(Mutant(module, number, f"{module}:{at}: {told} in `{lines[at - 1].strip()}`", around))
    return found


def mutate(text: str, number: int) -> ast.Module:
    """Return the module's tree with its `number`-th change made."""
    tree = ast.parse(text)
    for index, (node, told) in enumerate(_places(tree)):
        if index == number:
            _change(node, told)
            return ast.fix_missing_locations(tree)
    raise IndexError(number)


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each node that can be changed, with what is changed: the same, in the same order, every time."""
    for node in _acting(tree):
        match node:
            case ast.Compare(ops=[op]) if type(op) in _COMPARED:
                yield node, f"{type(op).__name__} to {_COMPARED[type(op)].__name__}"
            case ast.BinOp(op=op) if type(op) in _COUNTED:
                yield node, f"{type(op).__name__} to {_COUNTED[type(op)].__name__}"
            case ast.BoolOp(op=op):
                yield node, f"{type(op).__name__} to {_JOINED[type(op)].__name__}"
            case ast.UnaryOp(op=ast.Not()):
                yield node, "not dropped"
            case ast.Constant(value=bool() as value):
                yield node, f"{value} to {not value}"
            case ast.Constant(value=int() as value):
                yield node, f"{value} to {value + 1}"
            case ast.Call(func=ast.Name(id=name)) if name in _NAMED:
                yield node, f"{name} to {_NAMED[name]}"
            case ast.IfExp():
                yield node, "choice turned round"


def _acting(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes inside functions, without their signatures' annotations: what runs when a question is asked."""
    seen = set()
    for function in _functions(tree):
        for statement in function.body:
            for node in ast.walk(statement):
                if not isinstance(node, ast.FunctionDef) and id(node) not in seen:
                    seen.add(id(node))
                    yield node


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _first_line(function: ast.FunctionDef) -> int:
    """Return the first line of a function as its code knows it: that of its first decorator."""
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def _change(node: ast.AST, told: str) -> None:
    match node:
        case ast.Compare():
            node.ops = [_COMPARED[type(node.ops[0])]()]
        case ast.BinOp():
            node.op = _COUNTED[type(node.op)]()
        case ast.BoolOp():
            node.op = _JOINED[type(node.op)]()
        case ast.UnaryOp():
            # `not x` as `not not x`: the same truth value as `x`
            node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() as value):
            node.value = value + 1
        case ast.Call(func=ast.Name(id=name)):
            node.func = ast.Name(id=_NAMED[name], ctx=ast.Load())
        case ast.IfExp():
            node.body, node.orelse = node.orelse, node.body
        case _:
            raise TypeError(told)
