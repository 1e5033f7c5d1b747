"""The child process of a fit: started, looked at, ended."""

import multiprocessing
import shutil
import tempfile
from pathlib import Path

from streams.trainer.fit import FitRequest, FitResult, fit_in_child

END_S = 3.0
"""How long a child may take to end when told to, before it is killed; it has nothing to lose."""


class FitProcess:
    """One fit that runs beside us. The artifact is in ``folder`` until ``close``."""

    def __init__(self, job: FitRequest) -> None:
        # spawn: librdkafka's threads do not survive a fork, and torch's neither.
        context = multiprocessing.get_context("spawn")
        self._draft = Path(tempfile.mkdtemp(prefix="dch-fit-"))
        self.folder = self._draft / "artifact"
        self._result, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=fit_in_child, args=(job, self.folder, theirs), name="fit", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the end of the child ends the pipe

    def result(self) -> FitResult | None:
        """Return what came out; None while it runs."""
        if not self._result.poll():
            return None
        try:
            found: FitResult = self._result.recv()
        except EOFError:
            self._process.join(END_S)
            return FitResult(error=f"the fit ended with exit code {self._process.exitcode} and no result")
        return found

    def close(self) -> None:
        """End the child if it still runs, and remove its folder."""
        self._process.terminate()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._result.close()
        shutil.rmtree(self._draft, ignore_errors=True)
