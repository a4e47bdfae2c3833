"""Things that write plans and read results: prompts, wording, and the embedded model.

They are written against the public names of llmcompiler alone, as anybody's own planner would be.
"""
