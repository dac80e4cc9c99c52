"""Windows encoded per second: by batch size and threads, with the share of features and network, beside mel spectra alone."""

from __future__ import annotations

from functools import partial

import torch
import torchaudio

from monitor.core.recipe import Recipe
from tests.bench.material import Material
from tests.bench.stopwatch import in_turns
from tests.bench.table import Section, number, share

BATCHES = (1, 16, 64, 256)
THREADS = (1, 2)


def mel_spectrum(recipe: Recipe) -> torchaudio.transforms.MelSpectrogram:
    """Return torchaudio's mel spectrogram with the recipe's numbers: what any log-mel fingerprint has to compute."""
    return torchaudio.transforms.MelSpectrogram(
        sample_rate=recipe.sample_rate_hz,
        n_fft=recipe.fft_samples,
        hop_length=recipe.fft_hop_samples,
        f_min=recipe.mel_low_hz,
        f_max=recipe.mel_high_hz,
        n_mels=recipe.mel_bins,
        norm="slaney",
        mel_scale="slaney",
        power=1.0,
    )


def measure(material: Material) -> list[Section]:
    """Measure every batch size with every number of threads."""
    engine, recipe = material.engine, material.engine.recipe
    mel = mel_spectrum(recipe)
    before = torch.get_num_threads()
    rows = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for batch in BATCHES:
            windows = material.windows(batch)
            sound = torch.from_numpy(windows)
            with torch.inference_mode():
                took_s = in_turns(
                    {
                        "all": partial(engine.encode, windows),
                        "features": partial(engine.features, sound),
                        "mel": partial(mel, sound),
                    },
                    for_s=0.3 if material.quick else 4.0,
                )
            a_second = batch / took_s["all"]
            rows.append(
                (
                    str(threads),
                    str(batch),
                    number(a_second),
                    f"{1e3 * took_s['all']:.2f}",
                    share(took_s["features"], took_s["all"]),
                    share(took_s["all"] - took_s["features"], took_s["all"]),
                    number(batch / took_s["mel"]),
                    f"{took_s['all'] / took_s['mel']:.1f}",
                    number(a_second * recipe.hop_s),
                    number(a_second * recipe.hop_s / threads),
                )
            )
    torch.set_num_threads(before)
    return [
        Section(
            title="Encoding",
            columns=(
                "threads",
                "batch",
                "windows/s",
                "ms a batch",
                "features",
                "network",
                "MelSpectrogram windows/s",
                "time : MelSpectrogram's",
                "x real time",
                "streams a core",
            ),
            rows=rows,
            notes=(
                "CPU, windows of real music; medians of runs taken in turns. `MelSpectrogram` is torchaudio's, same numbers, "
                "magnitudes only, no logarithm. A stream brings two windows a second.",
            ),
        )
    ]
