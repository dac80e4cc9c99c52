"""Sound in: ffmpeg and PortAudio, hidden."""

from monitor.capture.ffmpeg import Decoded, Probe, decode, probe
from monitor.capture.soundcard import SoundcardSource
from monitor.capture.stream import FfmpegSource
from monitor.core.masking import mask_url

__all__ = ["Decoded", "FfmpegSource", "Probe", "SoundcardSource", "decode", "mask_url", "probe"]
