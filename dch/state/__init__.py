"""The state of a recommender: histories, encoders, the item index, and a snapshot of them."""
