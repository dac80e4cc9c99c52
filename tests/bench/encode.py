"""Windows encoded per second by each installed encoder: by batch size and threads, with the share of features and network, beside
mel spectra alone.
"""

from __future__ import annotations

from functools import partial

import torch
import torchaudio

from monitor.core.recipe import Recipe
from monitor.encoder import weights
from monitor.encoder.engine import load_encoder
from tests.bench.material import Material
from tests.bench.stopwatch import in_turns
from tests.bench.table import Section, number

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


def features(name: str) -> str:
    """Return what the features alone of an encoder are called among the runs."""
    return f"{name}, features"


def measure(material: Material) -> list[Section]:
    """Measure every batch size with every number of threads."""
    recipe = material.engine.recipe
    runtimes = dict.fromkeys((material.engine.runtime, "torch"))
    mel = mel_spectrum(recipe)
    before = torch.get_num_threads()
    rows = []
    for threads in THREADS:
        engines = {
            f"{path.stem}, {runtime}": load_encoder(path.stem, "cpu", threads=threads, runtime=runtime)
            for path in weights.installed()
            for runtime in runtimes
        }
        for batch in BATCHES:
            windows = material.windows(batch)
            sound = torch.from_numpy(windows)
            with torch.inference_mode():
                took_s = in_turns(
                    {
                        **{name: partial(engine.encode, windows) for name, engine in engines.items()},
                        **{features(name): partial(engine.features, sound) for name, engine in engines.items()},
                        "mel": partial(mel, sound),
                    },
                    for_s=0.3 if material.quick else 4.0,
                )
            for name in engines:
                a_second = batch / took_s[name]
                features_s = took_s[features(name)]
                rows.append(
                    (
                        name,
                        str(threads),
                        str(batch),
                        number(a_second),
                        f"{1e3 * took_s[name]:.2f}",
                        f"{1e3 * features_s / batch:.3f}",
                        f"{1e3 * (took_s[name] - features_s) / batch:.3f}",
                        number(batch / took_s["mel"]),
                        f"{took_s[name] / took_s['mel']:.1f}",
                        number(a_second * recipe.hop_s),
                        number(a_second * recipe.hop_s / threads),
                    )
                )
    torch.set_num_threads(before)
    return [
        Section(
            title="Encoding",
            columns=(
                "encoder, runtime",
                "threads",
                "batch",
                "windows/s",
                "ms a batch",
                "features ms a window",
                "network ms a window",
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
