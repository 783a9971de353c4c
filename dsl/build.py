"""Tree building: one method per rule of `grammar.lark`, called by lark's parser while it reduces.

Keeps no state, so that one parser serves all threads. The numbers in `c[3]` are places in the rule.
"""

from typing import Any

from tpc.dsl import syntax as s
from tpc.dsl.build_expressions import ExpressionBuilder, SyntaxFault, between
from tpc.dsl.diagnostics import diagnostic
from tpc.dsl.source import Span
from tpc.dsl.tokens import Token


def flattened(chain: Any) -> list[Any]:
    """The items of `((([], a), b), c)`.

    Statements are chained as pairs and not appended to a list: after an error the parser goes back to the
    beginning of the line, and what it then reduces again must not have been changed.
    """
    items = []
    while isinstance(chain, tuple):
        chain, item = chain
        items.append(item)
    items.reverse()
    return items


class Builder(ExpressionBuilder):
    # ---- top level

    def module(self, c: list[Any]) -> list[s.Item]:
        return flattened(c[0])

    def const(self, c: list[Any]) -> s.Const:
        return s.Const(between(c[0], c[3]), self.name(c[1:2]), None, [], c[3])

    def const_typed(self, c: list[Any]) -> s.Const:
        type, facts = c[2]
        return s.Const(between(c[0], c[4]), self.name(c[1:2]), type, facts, c[4])

    def use(self, c: list[Any]) -> s.Use:
        return s.Use(between(c[0], c[1]), self.string(c[1:2]))

    def budget(self, c: list[Any]) -> s.Budget:
        return s.Budget(between(c[0], c[4]), self.name(c[1:2]), self.string(c[3:4]))

    def def_block(self, c: list[Any]) -> s.Def:
        body = c[8]
        return s.Def(between(c[0], body[-1]), self.name(c[1:2]), c[3], c[5], c[6], body, False)

    def def_short(self, c: list[Any]) -> s.Def:
        value = c[8]
        body: list[s.Statement] = [s.Return(value.span, value)]
        return s.Def(between(c[0], value), self.name(c[1:2]), c[3], c[5], c[6], body, True)

    def structure(self, c: list[Any]) -> s.Structure:
        body = c[7]
        return s.Structure(between(c[0], body[-1]), self.name(c[1:2]), c[3], c[5], body, False)

    def structure_short(self, c: list[Any]) -> s.Structure:
        return s.Structure(between(c[0], c[7]), self.name(c[1:2]), c[3], c[5], [c[7]], True)

    def broken(self, c: list[Any]) -> s.Broken:
        return s.Broken(between(c[0], c[1][-1]) if isinstance(c[1], list) else c[0].span)

    def param(self, c: list[Any]) -> s.Parameter:
        return s.Parameter(c[0].span, self.name(c[:1]), None, [], None)

    def param_typed(self, c: list[Any]) -> s.Parameter:
        type, facts = c[1]
        return s.Parameter(between(c[0], (facts or [type])[-1]), self.name(c[:1]), type, facts, None)

    def param_parts(self, c: list[Any]) -> s.Parameter:
        parts = s.Parts(between(c[2], c[5]), self.name(c[2:3]), c[4])
        return s.Parameter(between(c[0], c[5]), self.name(c[:1]), None, [], None, parts)

    def param_default(self, c: list[Any]) -> s.Parameter:
        return s.Parameter(between(c[0], c[2]), self.name(c[:1]), None, [], c[2])

    def param_typed_default(self, c: list[Any]) -> s.Parameter:
        type, facts = c[1]
        return s.Parameter(between(c[0], c[3]), self.name(c[:1]), type, facts, c[3])

    def typing(self, c: list[Any]) -> tuple[s.TypeExpr, list[s.Fact]]:
        return c[1], []

    def typing_facts(self, c: list[Any]) -> tuple[s.TypeExpr, list[s.Fact]]:
        return c[1], c[3]

    def type_scalar(self, c: list[Any]) -> s.TypeExpr:
        return s.TypeExpr(c[0].span, self.name(c), [])

    def type_array(self, c: list[Any]) -> s.TypeExpr:
        return s.TypeExpr(between(c[0], c[3]), self.name(c[:1]), c[2])

    def type_open(self, c: list[Any]) -> s.TypeExpr:
        return s.TypeExpr(between(c[0], c[2]), None, c[1])

    def fact(self, c: list[Any]) -> s.Fact:
        return s.Fact(c[0].span, c[0].text, [])

    def fact_call(self, c: list[Any]) -> s.Fact:
        return s.Fact(between(c[0], c[3]), c[0].text, c[2])

    def result_one(self, c: list[Any]) -> list[s.Result]:
        return [c[1]]

    def result_many(self, c: list[Any]) -> list[s.Result]:
        results: list[s.Result] = c[2]
        return results

    def result(self, c: list[Any]) -> s.Result:
        return s.Result(c[0].span, c[0], [])

    def result_facts(self, c: list[Any]) -> s.Result:
        return s.Result(between(c[0], c[2][-1]), c[0], c[2])

    # ---- statements

    def block(self, c: list[Any]) -> list[s.Statement]:
        return flattened(c[2])

    def repeat(self, c: list[Any]) -> s.Repeat:
        return s.Repeat(between(c[0], c[3][-1]), c[1], None, c[3])

    def repeat_until(self, c: list[Any]) -> s.Repeat:
        return s.Repeat(between(c[0], c[5][-1]), c[1], c[3], c[5])

    def scan(self, c: list[Any]) -> s.Scan:
        return s.Scan(between(c[0], c[5][-1]), self.name(c[1:2]), c[3], c[5])

    def if_only(self, c: list[Any]) -> s.If:
        word, chain = c[0]
        branches = flattened(chain)
        return s.If(between(word, branches[-1][1][-1]), branches, [])

    def if_else(self, c: list[Any]) -> s.If:
        word, chain = c[0]
        return s.If(between(word, c[3][-1]), flattened(chain), c[3])

    def branch_first(self, c: list[Any]) -> tuple[Token, Any]:
        return c[0], ([], (c[1], c[3]))

    def branch_more(self, c: list[Any]) -> tuple[Token, Any]:
        word, chain = c[0]
        return word, (chain, (c[2], c[4]))

    def assign(self, c: list[Any]) -> s.Assign:
        return s.Assign(between(c[0][0], c[2]), c[0], c[2])

    def approx(self, c: list[Any]) -> s.Approx:
        return s.Approx(between(c[0], c[4]), c[0], c[2], c[4], None, None)

    def approx_in(self, c: list[Any]) -> s.Approx:
        return s.Approx(between(c[0], c[6]), c[0], c[2], c[4], self.name(c[6:]), None)

    def approx_on(self, c: list[Any]) -> s.Approx:
        return s.Approx(between(c[0], c[6]), c[0], c[2], c[4], None, c[6])

    def return_(self, c: list[Any]) -> s.Return:
        return s.Return(between(c[0], c[1]), c[1])

    def until(self, c: list[Any]) -> s.Until:
        return s.Until(between(c[0], c[1]), c[1])

    def head(self, c: list[Any]) -> s.Target:
        return s.Target(c[0].span, self.name(c), None, None, [])

    def head_letters(self, c: list[Any]) -> s.Target:
        return s.Target(between(c[0], c[3]), self.name(c[:1]), c[2], None, [])

    def target(self, c: list[Any]) -> s.Target:
        target: s.Target = c[0]
        return target

    def target_typed(self, c: list[Any]) -> s.Target:
        target: s.Target = c[0]
        target.type, target.facts = c[1]
        target.span = between(target, target.facts[-1] if target.facts else target.type)
        return target

    # ---- op lines, facts and rules

    def op_line(self, c: list[Any]) -> s.OpLine:
        parameters, groups = c[2], c[4]
        for parameter in parameters:
            if type(parameter) not in (s.Subscript, s.Name):
                help = "write `A[i, j]`, or `n` for a size"
                raise SyntaxFault(diagnostic("E0127", "not a parameter of an op", parameter.span, help=help))
        for item in (item for group in groups for item in group):
            if type(item) in (s.Letter, s.Keyword, s.Slice):
                help = "write letters: `[i, j]`, `[(i p), ...]`"
                raise SyntaxFault(diagnostic("E0127", "not an axis of a result", item.span, help=help))
        body = c[6] if len(c) > 5 else None
        end = body.span.end if body is not None else c[3].end
        span = Span(c[0].source, c[0].start, end)
        return s.OpLine(span, self.name(c[:1]), parameters, groups or [[]], body)

    def group_empty(self, c: list[Any]) -> list[Any]:
        return []

    def fact_bare(self, c: list[Any]) -> s.FactLine:
        conclusions, where = c
        if len(conclusions) != 1:
            help = "write `premises |- conclusion`"
            raise SyntaxFault(diagnostic("E0127", "several facts and no conclusion", conclusions[1].span, help=help))
        span = between(conclusions[0], (where or conclusions)[-1])
        return s.FactLine(span, [], conclusions[0], where)

    def fact_line(self, c: list[Any]) -> s.FactLine:
        conclusion, where = c[-2], c[-1]
        premises = c[0] if len(c) == 4 else []
        span = between(premises[0] if premises else c[0], (where or [conclusion])[-1])
        return s.FactLine(span, premises, conclusion, where)

    def rule(self, c: list[Any]) -> s.Rule:
        tags = [self.name([token]) for token in c[2]]
        where = c[7]
        span = between(c[0], (where or [c[6]])[-1])
        return s.Rule(span, self.name(c[1:2]), c[4], c[5].text, c[6], where, tags)

    def rule_fact(self, c: list[Any]) -> s.RuleFact:
        where = c[4]
        return s.RuleFact(between(c[0], (where or [c[3]])[-1]), self.name(c[1:2]), c[3], where)
