"""A broadcast monitor: streams in, trustworthy detections of known recordings out."""

from importlib.metadata import version

__version__ = version("broadcast-monitor")

__all__ = ["__version__"]
