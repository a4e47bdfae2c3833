"""``python -m llmcompiler`` is the command ``llmcompiler``.

It knows nothing else.
"""

from llmcompiler.cli import main

if __name__ == "__main__":
    main()
