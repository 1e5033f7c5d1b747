"""The service on Kafka: roles that read records, apply them with ``dch``, write outputs and commit."""
