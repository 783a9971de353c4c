"""How statements, definitions, op lines and rules are spelled, each without the block indented below it."""

from collections.abc import Iterable

from tpc.dsl.layout import Break, Token, bracketed, breakable
from tpc.dsl.spelling import (
    expression_tokens,
    item_tokens,
    listed,
    separated,
    typed_tokens,
)
from tpc.dsl.syntax import (
    Approx,
    Assign,
    Broken,
    Budget,
    Const,
    Def,
    Expr,
    If,
    Parameter,
    Repeat,
    Return,
    Rule,
    RuleFact,
    Scan,
    Statement,
    Structure,
    Target,
    Until,
    Use,
)

WHERE = Break(0, "", "where ")  # a line that begins with `where` continues the one above


def statement_tokens(statement: Statement) -> list[Token]:
    """The line of a statement; of one with a block, its header with the colon (of `if`, the first)."""
    match statement:
        case Assign(targets=targets, value=value):
            return [*_unbroken(map(_target, targets)), " = ", *breakable(expression_tokens(value))]
        case Approx(target=target, value=value, within=within, norm=norm, on=on):
            tokens = [*_target(target), " ~= ", *_value(value), " within ", *_value(within)]
            tokens += [f" in {norm.name}"] if norm is not None else []
            return tokens if on is None else [*tokens, " on ", *_value(on)]
        case Return(value=value):
            return ["return ", *breakable(expression_tokens(value))]
        case Until(condition=condition):
            return ["until ", *_value(condition)]
        case Repeat(count=count, until=until):
            tokens = ["repeat ", *_value(count)]
            return [*tokens, ":"] if until is None else [*tokens, " until ", *_value(until), ":"]
        case Scan(letter=letter, extent=extent):
            return [f"scan {letter.name} in ", *_value(extent), ":"]
        case If(branches=branches):
            return branch_tokens("if", branches[0][0])
        case Broken(span=span):
            return [span.text]


def branch_tokens(word: str, condition: Expr) -> list[Token]:
    """`if condition:` or `elif condition:`"""
    return [f"{word} ", *_value(condition), ":"]


def const_tokens(const: Const) -> list[Token]:
    name = typed_tokens([const.name.name], const.type, const.facts)
    return ["const ", *name, " = ", *_value(const.value)]


def use_tokens(use: Use) -> list[Token]:
    return ["use ", *expression_tokens(use.path)]


def def_tokens(definition: Def) -> list[Token]:
    """The header with its colon, or a short form as a whole."""
    tokens: list[Token] = [f"def {definition.name.name}"]
    tokens += bracketed("(", separated(map(_parameter, definition.parameters)), ")")
    if definition.results is not None:
        results = separated(typed_tokens([], result.type, result.facts) for result in definition.results)
        several = len(definition.results) > 1
        tokens += [" -> ", *(bracketed("(", results, ")") if several else results)]
    tokens += _where(definition.where)
    if not definition.short:
        return [*tokens, ":"]
    [statement] = definition.body
    assert isinstance(statement, Return)
    return [*tokens, " = ", *breakable(expression_tokens(statement.value))]


def budget_tokens(budget: Budget) -> list[Token]:
    return [f"@{budget.name.name}({budget.amount.span.text})"]


def structure_tokens(structure: Structure) -> list[Token]:
    """The header with its colon, and the statement behind it where it stands on one line."""
    tokens: list[Token] = [f"structure {structure.name.name}"]
    tokens += bracketed("(", separated(map(_parameter, structure.parameters)), ")")
    tokens += [*_where(structure.where), ":"]
    return [*tokens, " ", *statement_tokens(structure.body[0])] if structure.short else tokens


def _value(e: Expr) -> list[Token]:
    """An expression that ends where the next word of the statement begins."""
    return breakable(item_tokens(e))


def _target(target: Target) -> list[Token]:
    name: list[Token] = [target.name.name]
    if target.letters is not None:
        name += bracketed("[", listed(target.letters), "]")
    return typed_tokens(name, target.type, target.facts)


def _parameter(parameter: Parameter) -> list[Token]:
    if parameter.parts is not None:
        parts = bracketed("(", separated(map(_part, parameter.parts.parts)), ")")
        return [f"{parameter.name.name}: {parameter.parts.structure.name}", *parts]
    tokens = typed_tokens([parameter.name.name], parameter.type, parameter.facts)
    return tokens if parameter.default is None else [*tokens, " = ", *item_tokens(parameter.default)]


def _part(part: Parameter) -> list[Token]:
    if part.type is None and part.default is not None:
        return [f"{part.name.name}=", *item_tokens(part.default)]
    return _parameter(part)


def _where(conditions: list[Expr]) -> list[Token]:
    return [WHERE, *_unbroken(map(_value, conditions))] if conditions else []


def _unbroken(parts: Iterable[list[Token]]) -> list[Token]:
    """Parts between commas at which the line cannot be broken."""
    return separated(parts, ", ")


# ---- rules


def rule_tokens(rule: Rule | RuleFact) -> list[Token]:
    """`rule name [tags]: left <=> right where conditions` or `fact name: conclusion where conditions`"""
    if isinstance(rule, RuleFact):
        return [f"fact {rule.name.name}: ", *_value(rule.conclusion), *_where(rule.where)]
    sides = [*_value(rule.left), f" {rule.arrow} ", *_value(rule.right)]
    tags = f" [{', '.join(tag.name for tag in rule.tags)}]" if rule.tags else ""
    return [f"rule {rule.name.name}{tags}: ", *sides, *_where(rule.where)]
