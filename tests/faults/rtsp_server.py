"""`/usr/bin/python3 rtsp_server.py PORT PATH FEED`: an RTSP server of GStreamer's for MP2 sound that comes in datagrams to a port.

Run by the system's Python, which has GStreamer's bindings (python3-gi, gir1.2-gst-rtsp-server-1.0). Prints a line when it serves.
"""

import sys

import gi

gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - the version is asked for first


def main() -> None:
    """Serve until killed."""
    port, path, feed = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(f"( udpsrc address=127.0.0.1 port={feed} ! mpegaudioparse ! rtpmpapay name=pay0 )")
    server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
