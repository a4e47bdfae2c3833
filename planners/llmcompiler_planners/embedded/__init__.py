"""Where the embedded demonstration model is.

It does not know how the model was made (see planners/recipe) or how it is run.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["model_path"]


def model_path() -> Path:
    """Return the path of the GGUF that is shipped with this package.

    A small llama-architecture model trained from scratch on synthetic requests: it knows the
    bundled tools and nothing else.
    """
    return Path(__file__).with_name("model.gguf")
