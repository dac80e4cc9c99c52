"""The product at its main job, in real time: simulated stations on air, the daemon beside them, truth beside detection."""
