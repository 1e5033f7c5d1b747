"""Ratings, ids and features in memory, splits of ratings, and readers of rating files."""
