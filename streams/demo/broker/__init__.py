"""The embedded broker for demos and tests: noida-db as a child process behind a small proxy.

It acknowledges records before it writes them. If it is killed, those of the last 0.3 to 1.7 s are lost.
"""
