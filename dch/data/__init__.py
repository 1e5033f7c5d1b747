"""Ratings, ids and features as columns, and the readers that fill them from files."""
