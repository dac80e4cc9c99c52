"""Sound in: ffmpeg and PortAudio, hidden."""
