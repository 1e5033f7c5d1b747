"""What can go wrong in the library, as a tree; each class exists because some caller acts on it.

DchError
├── ConfigError (ValueError)      a setting out of its range
├── CodeShapeError (ValueError)   codes of different lengths
├── GenerationMismatchError       codes or models of different generations
├── UnknownIdError (KeyError)     an id that nothing is known of
├── RatingsError (ValueError)     a file of ratings or metadata that cannot be read; names file and line
├── ArtifactError                 a saved model that is corrupt, truncated, foreign or from the future
└── MissingExtraError             an optional package is needed and not installed
"""


class DchError(Exception):
    """Any error this library raises on purpose."""


class ConfigError(DchError, ValueError):
    """A setting is out of its range."""


class CodeShapeError(DchError, ValueError):
    """Codes of different lengths were mixed."""


class GenerationMismatchError(DchError):
    """Codes, stores or models of different generations were mixed."""


class UnknownIdError(DchError, KeyError):
    """Nothing is known of this id."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the repr of the sentence


class RatingsError(DchError, ValueError):
    """A file of ratings or metadata cannot be read; the message names file and line."""


class ArtifactError(DchError):
    """A saved model is corrupt, truncated, not ours, or of a newer format."""


class MissingExtraError(DchError):
    """An optional package is needed and not installed; the message says what to install."""
