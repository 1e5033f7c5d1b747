"""The Kafka side: thin roles that read, act, write and commit. All recommender logic is in ``dch``."""
