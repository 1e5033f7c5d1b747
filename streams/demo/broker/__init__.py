"""The embedded broker: noida-db as a child process behind a small proxy. For demos and tests."""
