"""The in-process inference engine: one model, one thread that owns it, tokens in and text out.

It does not know what a plan, a tool or a conversation is; `llmcompiler.llms.local` does.
"""
