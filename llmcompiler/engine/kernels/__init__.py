"""Products of quantised matrices with a few vectors, and attention, compiled for this processor.

On x86 llama.cpp computes a pass of two tokens at the price of two to four of one. The C sources here
are a back end for it that reads a weight once for up to twelve tokens, and of the key-value cache
what a token sees and no more: several streams, drafts and prompts then cost little more than one
token. They are compiled where they are used, like llama.cpp itself, and tried out in a program of
their own before a model relies on them.
"""
