"""From the studio's desk to the listener: multiband compressor, equaliser, limiter, clipper, stereo picture, codec.

Knows ffmpeg's filters and encoders. Files carry their encoder's delay, and the decoder takes it off again, so that what is
heard lies where it was sent (the filters' own look-ahead is 5 ms). HE-AAC needs an encoder that Debian's ffmpeg lacks
(libfdk-aac is not free); its stand-in is its core: AAC-LC at half the rate with what spectral band replication (about 3 kbit/s,
all above 8 kHz) leaves of the bits. What is heard below 4 kHz, where fingerprints are taken, is that core.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import NotAudio
from monitor.evaluate.broadcast.material import CHANNELS, RATE_HZ
from monitor.evaluate.broadcast.scene import Chain, Codec

BANDS_HZ = (200, 1600, 6400, 15000)
THRESHOLD_DB = -38.0
CEILING_DB = -1.0
MONO_BELOW_KBPS = 40
"""Stations that send so little send one channel."""
REPLICATION_KBPS = 3


def send(sound: NDArray[np.float32], chain: Chain, codec: Codec, folder: Path) -> Path:
    """Process and encode sound [samples, 2] into a file in the folder, and return it.

    Raises:
        NotAudio: This ffmpeg lacks a filter or an encoder.
    """
    channels = 1 if codec.kbps < MONO_BELOW_KBPS else CHANNELS
    encoder, suffix, rate_hz, kbps = {
        "mp3": ("libmp3lame", ".mp3", RATE_HZ, codec.kbps),
        "aac": ("aac", ".m4a", RATE_HZ, codec.kbps),
        "he-aac core": ("aac", ".m4a", RATE_HZ // 2, codec.kbps - REPLICATION_KBPS),
        "opus": ("libopus", ".opus", 48_000, codec.kbps),
    }[codec.name]
    coded = folder / f"sent{suffix}"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "f32le", "-ar", str(RATE_HZ), "-ac", str(CHANNELS), "-i", "pipe:0"]
    command += ["-af", filters(chain), "-ac", str(channels), "-ar", str(rate_hz), "-c:a", encoder, "-b:a", f"{kbps}k", str(coded)]
    done = subprocess.run(command, input=sound.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        raise NotAudio(f"ffmpeg cannot send {codec}: {done.stderr.decode(errors='replace').strip()}; install a complete ffmpeg")
    return coded


def filters(chain: Chain) -> str:
    """Write a studio's processing as an ffmpeg filter graph."""
    steps = []
    if chain.ratio > 1.0:
        top_db = THRESHOLD_DB - THRESHOLD_DB / chain.ratio
        make_up_db = -top_db / 2
        curve = f"-90/-90\\,{THRESHOLD_DB:.0f}/{THRESHOLD_DB:.0f}\\,0/{top_db:.1f}"
        times = ("0.01\\,0.2", "0.006\\,0.1", "0.003\\,0.08", "0.002\\,0.05")
        bands = [f"{time} 6 {curve} {band}" for time, band in zip(times, BANDS_HZ, strict=True)]
        steps += [f"mcompand=args='{' | '.join(bands)}'", f"volume={make_up_db:.1f}dB"]
    steps += [f"equalizer=f={f:.0f}:t=o:w=1.2:g={gain_db:.2f}" for f, gain_db in chain.equaliser_db]
    steps += [f"volume={chain.drive_db:.2f}dB", "alimiter=limit=0.9:attack=3:release=50:level=disabled", "asoftclip=type=tanh"]
    if chain.widen != 1.0:
        steps.append(f"extrastereo=m={chain.widen:.2f}:c=disabled")
    return ",".join([*steps, f"volume={CEILING_DB:.1f}dB"])
