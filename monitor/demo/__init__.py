"""The product shown at its main job, in a few minutes, on one machine."""
