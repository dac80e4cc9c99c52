"""Stages, bounded queues, supervision, drain and health: asyncio's sharp edges, hidden."""
