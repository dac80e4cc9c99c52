"""Vectors in, nearest reference positions out: Faiss, hidden."""
