"""Products of 8-bit matrices with a few vectors at once, compiled for the processor they run on.

llama.cpp reads a Q8_0 weight anew for nearly every token of a pass on x86. The C sources here are a
back end for it that reads each weight once for up to twelve: several streams, drafts and prompts
then cost little more than one token. They are compiled where they are used, like llama.cpp itself,
and tried out in a program of their own before a model relies on them.
"""
