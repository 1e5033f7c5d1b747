"""The embedded broker for demos and tests: noida-db as a child process behind a small proxy."""
