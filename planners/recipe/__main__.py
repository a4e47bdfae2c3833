"""How is the embedded model made again, from nothing, with one command?

It does not know how any step works: it reads the command line and calls them in order.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "llmcompiler_planners" / "embedded" / "model.gguf"
STEPS = ("data", "tokenizer", "train", "export", "score", "evaluate")


def main() -> None:
    """Read the command line and run the steps asked for."""
    parser = argparse.ArgumentParser(
        prog="python planners/recipe",
        description="Makes the embedded demonstration model. 'all' runs tokenizer, train, export and evaluate; every step "
        "can be run alone, reads what the ones before left in --folder, and overwrites what it made.",
    )
    parser.add_argument("step", choices=("all", *STEPS))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("build/embedded"),
        help="where the tokenizer and checkpoints are kept",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        help="the GGUF to write, or to evaluate (default: model.gguf in --folder)",
    )
    parser.add_argument(
        "--ship", action="store_true", help="write the GGUF into the planners package"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes",
        type=float,
        default=80.0,
        help="training time; the learning rate falls to 0 at its end",
    )
    parser.add_argument(
        "--decay",
        type=float,
        default=0.6,
        help="the last part of the training time in which the rate falls",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in --folder, or from the shipped GGUF if there is none",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.008,
        help="Muon's learning rate; AdamW's is a quarter of it. Go on with about half",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--no-compile",
        action="store_true",
        help="train without torch.compile (slower, needs no C++ compiler)",
    )
    parser.add_argument("--kind", choices=("Q8_0", "F16", "F32"), default="Q8_0")
    parser.add_argument(
        "--shuffle",
        action="store_true",
        help="the ablation: permute the weights of the export and of the scores",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=200,
        help="how many requests of every generated set are evaluated, or shown by 'data'",
    )
    parser.add_argument(
        "--show", type=int, default=5, help="how many failures of every set are listed"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    options.out = options.out or (SHIPPED if options.ship else options.folder / "model.gguf")
    for step in (
        ("tokenizer", "train", "export", "evaluate") if options.step == "all" else (options.step,)
    ):
        _run(step, options)


def _run(step: str, options: argparse.Namespace) -> None:
    """Run one step; the imports are here since no step needs all of them."""
    vocabulary, checkpoint = options.folder / "tokenizer.json", options.folder / "checkpoint.pt"
    if step == "data":
        from conversations import Conversations
        from dialogue import render

        source = Conversations(options.seed)
        for kind, pieces in itertools.islice(iter(source.draw, None), options.count):
            print(f"--- {kind}\n{render(pieces)}")
    elif step == "tokenizer":
        import tokenizer

        if not options.resume:
            tokenizer.train(vocabulary, options.seed, size=900)
    elif step == "train":
        import train

        if options.resume and not checkpoint.exists():
            import unpack

            unpack.unpack(SHIPPED, checkpoint, vocabulary)
        train.train(
            train.Options(
                folder=options.folder,
                minutes=options.minutes,
                seed=options.seed,
                decay=options.decay,
                threads=options.threads,
                compile=not options.no_compile,
                resume=options.resume,
                rate=options.rate,
                adam=options.rate / 4,
            )
        )
    elif step == "export":
        import export

        size = export.export(checkpoint, vocabulary, options.out, options.kind, options.shuffle)
        print(f"{options.out}: {size} bytes")
    elif step == "score":
        import score

        score.report(
            checkpoint,
            vocabulary,
            options.count,
            options.seed + 4242,
            options.show,
            options.shuffle,
        )
    else:
        import evaluate

        evaluate.main(
            options.out, HERE / "handwritten.jsonl", options.count, options.seed + 777, options.show
        )


main()
