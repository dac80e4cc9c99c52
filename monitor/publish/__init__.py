"""Detections in, acknowledged messages out: MQTT, hidden."""
