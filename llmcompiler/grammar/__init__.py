"""What a model may write in a turn, given the tools: grammars for constrained decoding.

It does not know models or how a reply is held to a grammar; it writes two formats as text.
"""

from llmcompiler.grammar.turn import MAX_LINES, TurnGrammar, plan_grammar, result_schema

__all__ = ["MAX_LINES", "TurnGrammar", "plan_grammar", "result_schema"]
