"""The errors of the library. Each class exists because some caller handles it differently.

DchError
├── ConfigError (ValueError)      a setting is out of range
├── CodeShapeError (ValueError)   codes or vectors have different lengths
├── GenerationMismatchError       codes or models have different generations
├── UnknownIdError (KeyError)     nothing is known of an id
├── RatingsError (ValueError)     ratings or metadata cannot be used; names file and line if there are any
├── ArtifactError                 a saved model is corrupt, truncated, of another program, or too new
└── MissingExtraError             an optional package is needed but not installed
"""


class DchError(Exception):
    """Base class of all errors that this library raises on purpose."""


class ConfigError(DchError, ValueError):
    """A setting is out of range."""


class CodeShapeError(DchError, ValueError):
    """Codes or vectors have different lengths."""


class GenerationMismatchError(DchError):
    """Codes or models have different generations."""


class UnknownIdError(DchError, KeyError):
    """Nothing is known of an id."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr of the message


class RatingsError(DchError, ValueError):
    """Ratings or metadata cannot be used; if they come from a file, the message names file and line."""


class ArtifactError(DchError):
    """A saved model is corrupt, truncated, of another program, or in a newer format."""


class MissingExtraError(DchError):
    """An optional package is needed but not installed; the message says what to install."""
