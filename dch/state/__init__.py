"""What a recommender knows and serves: histories, encoders, the item index, one snapshot a generation."""
