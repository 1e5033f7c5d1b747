"""Deep Collaborative Hashing: recommendations from binary codes. A library about arrays; it knows no Kafka."""
