"""Exact search: the k nearest codes by Hamming distance, and their reranking by a finer score."""

from dch.search.batch import nearest_many
from dch.search.nearest import CANDIDATES, Nearest, nearest, nearest_of_each, rerank

__all__ = ["CANDIDATES", "Nearest", "nearest", "nearest_many", "nearest_of_each", "rerank"]
