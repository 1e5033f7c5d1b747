"""What a recommender knows and serves: histories, encoders, the item index, and a snapshot of them."""
