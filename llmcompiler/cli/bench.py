"""How do the figures of the engine read at the command line?

It does not know how they are measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from llmcompiler.cli.lines import duration
from llmcompiler.doctor import model_file
from llmcompiler.errors import ConfigurationError, MissingExtraError

__all__ = ["bench_engine", "read_widths"]


def bench_engine(
    model: str, options: Mapping[str, Any], streams: str, *, quick: bool, as_json: bool, quiet: bool
) -> None:
    """Measure a model on this machine and print the figures.

    Raises:
        ConfigurationError: there is no such file, or an option does not fit.
        ModelError: the model cannot compute.
    """
    from llmcompiler.engine.gguf import read_header
    from llmcompiler.engine.options import environment_options, read_options

    path = model_file(model) or model
    widths = read_widths(streams)
    header, chosen = read_header(path), read_options({**environment_options(), **options})
    try:
        from llmcompiler.engine.speed import measure_speed
    except ModuleNotFoundError as error:
        raise MissingExtraError("the local back end", "local") from error

    def tell(stage: str) -> None:
        if not quiet:
            print(f"measuring: {stage}", file=sys.stderr, flush=True)

    speed = measure_speed(header, chosen, streams=widths, quick=quick, tell=tell)
    figures = {"llama_cpp_python": _version(), **speed.to_json()}
    print(json.dumps(figures, indent=2) if as_json else _table(figures))


def read_widths(text: str) -> tuple[int, ...]:
    """Read how many requests at once, as ``1,2,4``; raise `ConfigurationError` if it is not that."""
    try:
        widths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        widths = (0,)
    if not 1 <= widths[0] <= widths[-1] <= 256:
        raise ConfigurationError(
            f"--streams must be numbers from 1 to 256 with commas between, not {text!r}"
        )
    return widths


def _version() -> str:
    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:
        return "?"


def _table(figures: Mapping[str, Any]) -> str:
    first = figures["first_token"]
    layers = figures["n_gpu_layers"]
    where = f"{layers} layers on the GPU, " if layers else ""
    kernels = figures["kernels"]
    how = f" and {kernels} kernels" if kernels else ""
    lines = [
        f"model         {figures['model']}, {figures['weights_bytes'] / 2**20:,.0f} MiB",
        f"computed by   llama-cpp-python {figures['llama_cpp_python']}{how}, {where}"
        f"{figures['threads']} thread{'s' if figures['threads'] > 1 else ''}",
        f"context       {figures['n_ctx']} tokens a request, a cache of {figures['n_cells']}",
        f"load          {duration(figures['load'])}",
        f"prompt        {figures['prefill']:,.0f} tokens/s",
        f"reply         {figures['decode']:,.0f} tokens/s",
        "",
        f"first token of {first['shared']} + {first['new']} tokens",
        f"  cold        {duration(first['cold'])}",
        f"  hot         {duration(first['hot'])}, {first['reused']} tokens reused: "
        f"{first['cold'] / first['hot']:.1f}x",
        "",
    ]
    return "\n".join(
        [
            *lines,
            *_row("tokens in a pass", "ms", figures["passes"], 1000),
            "",
            *_row("requests at once", "tokens/s", figures["streams"], 1),
        ]
    )


def _row(what: str, unit: str, values: Mapping[int, float], scale: float) -> list[str]:
    """Write values by number, and what they are of the first."""
    one = next(iter(values.values()))
    return [
        f"{what:<16}" + "".join(f"{count:>9}" for count in values),
        f"  {unit:<14}" + "".join(f"{_short(value * scale):>9}" for value in values.values()),
        f"  {'as one':<14}" + "".join(f"{value / one:>8.2f}x" for value in values.values()),
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
