"""Which options do local models take, and what is each of them for?

It does not know what the engine makes of them.
"""

from __future__ import annotations

import json
from dataclasses import fields

from llmcompiler.engine.options import EngineOptions

__all__ = ["ABOUT", "list_options"]

ABOUT = {
    "n_gpu_layers": "layers on the GPU, from the last one on; -1 is as many as fit",
    "n_ctx": "the most tokens of one request; null: the model's own, as memory allows",
    "n_cells": "tokens in the key-value cache, of all requests; null: as memory allows",
    "n_seq": "sequences that the cache tells apart, at most 256; null: chosen",
    "rows": "requests that decode in one step, at most",
    "threads": "threads to compute with; null: the cores but one, shared by all models",
    "chunk": "tokens of one step, at most; a cancel takes effect after so many",
    "kv_type": "precision of the key-value cache: f16, q8_0 or q4_0",
    "kv_type_v": "the same for its values, where it differs; null: as kv_type",
    "flash_attention": "auto, on or off",
    "reproducible": "the same text whatever else is computed: slower, more memory",
    "drafts": "guess tokens ahead where that is quicker; changes no text",
    "draft_model": "path of a small GGUF of the same vocabulary to guess with",
    "kernels": "compile code that is quicker on this processor: auto, on or off",
    "cache_ram": "MiB of memory for prefixes that left the cache",
    "cache_dir": "folder for such prefixes, so that a new process starts hot; null: none",
    "cache_disk": "MiB of that folder, at most",
    "load_mode": "weights from the file: auto, none, mmap, mlock, mmap+mlock or dio (direct)",
    "offload_kqv": "key-value cache on the GPU, with its layers",
    "main_gpu": "number of the GPU to use with split_mode none",
    "tensor_split": "share of each GPU, as [3,1]; null: by their free memory",
    "split_mode": "over several GPUs: layer, row, tensor (all at once) or none",
}


def list_options(*, as_json: bool) -> None:
    """Print every option with its default and what it is for."""
    values = {each.name: each.default for each in fields(EngineOptions)}
    if as_json:
        listed = [
            {"name": name, "default": value, "about": ABOUT[name]} for name, value in values.items()
        ]
        print(json.dumps(listed, indent=2))
        return
    for name, value in values.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        print(f"{name}={shown:<{21 - len(name)}} {ABOUT[name]}")
