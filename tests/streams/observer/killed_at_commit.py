"""`dch observer` that is killed by SIGKILL when it is about to commit for the second time.

What the commit covers is in the changelog by then: python -m tests.streams.observer.killed_at_commit
"""

import os
import signal

from faust.transport.consumer import ThreadDelegateConsumer

from streams.cli.main import main

N_COMMITS = 1

commit, done = ThreadDelegateConsumer._commit, []


async def commit_or_die(self, offsets):
    if len(done) == N_COMMITS:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(offsets)
    return await commit(self, offsets)


ThreadDelegateConsumer._commit = commit_or_die

if __name__ == "__main__":
    main()
