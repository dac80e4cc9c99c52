"""What is told of a training run: the model card and the curve. Written by the program, from what it logged."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.encoder import networks, weights
from monitor.train.checkpoint import Progress
from monitor.train.data import open_split
from monitor.train.validate import LONGEST_S, SECONDS, SHORTEST_S


def write(out: Path, path: Path, recipe_text: str, progress: Progress, cache: Path, *, for_the_air: bool = False) -> None:
    """Write `NAME.md` and `NAME.png` beside the weights, or `NAME.query.md` of a network for the air.

    Args:
        out: Folder of the run.
        path: The weights.
        recipe_text: The recipe as it was read.
        progress: How the run went.
        cache: Folder of the audio it was trained on.
        for_the_air: What was trained is the network for the air that lies beside the weights.
    """
    log = progress.log
    before = f" after those of weights SHA-256 `{progress.started_from.replace(' ', '` and `')}`" if progress.started_from else ""
    _plot(out / f"{path.stem}.png", log)
    recipe, tensors = weights.load(path)
    parameters = sum(parameter.numel() for parameter in networks.build(recipe).parameters())
    music = open_split(cache, "train", "music")
    machines = f", on {' and '.join(progress.machines)}" if progress.machines else ""
    coded = f"{progress.banks} banks of them after a codec" if progress.banks else "none of them after a codec"
    asked = int((open_split(cache, "validation", "music").length >= SHORTEST_S * recipe.sample_rate_hz).sum())
    last = log[-1]
    scores = [entry for entry in log if "validation" in entry][-1]["validation"]
    rows = "\n".join(f"| {name} | {100 * one:.1f} % | {100 * whole:.1f} % |" for name, (one, whole) in scores.items())
    title, card, sha256 = f"Encoder `{recipe.name}`", ".md", recipe.weights_sha256
    if for_the_air:
        title, card = f"What hears the air for encoder `{recipe.name}`", weights.QUERY_CARD_SUFFIX
        sha256 = weights.query_sha256(str(path), recipe)
    path.with_suffix(card).write_text(
        f"""# {title}

Written by `monitor train` on {datetime.datetime.now(datetime.UTC).date().isoformat()}.

- Network `{recipe.network}`, {parameters:,} parameters ({len(tensors)} tensors); one second in, {recipe.dim} numbers out, one
every {recipe.hop_s} s.
- Recipe hash `{recipe.hash}`, weights SHA-256 `{sha256}`.
- Trained {last["minutes"]:.0f} minutes, {last["step"]} steps, {last["windows"]:,} windows{before}{machines}.
- Of {len(music)} recordings, {coded}
  ({music.length.sum() / recipe.sample_rate_hz / 3600:.1f} h) of the train split of `monitor/train/packages.tsv`: free music from
  package registries, nearly all of it instrumental game music, with hardly any singing. Speech and noise from the same list;
  rooms are simulated.
- Right recording first on the validation split ({asked} recordings, the
first {LONGEST_S:.0f} s of each, exact search, no threshold), after one second and after {SECONDS}:

| condition | 1 s | {SECONDS} s |
|---|---|---|
{rows}

The curve of the run is `{path.stem}.png` in the run's folder.

## Training recipe

```toml
{recipe_text.strip()}
```
""",
        encoding="utf-8",
    )


def _plot(path: Path, log: Sequence[dict[str, Any]]) -> None:
    """Draw loss and retrieval against time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    losses = [entry for entry in log if "loss" in entry]
    left.plot([entry["minutes"] for entry in losses], [entry["loss"] for entry in losses], linewidth=0.8)
    left.set(xlabel="minutes", ylabel="loss", title="training")
    validated = [entry for entry in log if "validation" in entry]
    for name in validated[-1]["validation"] if validated else ():
        right.plot(
            [entry["minutes"] for entry in validated], [100 * entry["validation"][name][0] for entry in validated], "o-", label=name
        )
    right.set(xlabel="minutes", ylabel="% right after one second", title="validation", ylim=(0, 100))
    right.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
