"""The exceptions that semid_tf raises on purpose.

    SemidError
    ├── ConfigError            a setting is unknown, of the wrong type or out of range
    ├── DataError              a table or an array that the user gave cannot be used
    │   └── CodesError         a code is outside its level's range
    ├── ArtifactError          a trained thing on disk is missing or incomplete
    │   └── ProvenanceError    it was made from another parent than the one it meets
    └── TrainingError          training cannot go on (not finite, collapsed)

Every message is one line: what is wrong, where, and what would be right.
"""

from __future__ import annotations


class SemidError(Exception):
    """Base of all errors that a user can mend; the command line exits with status 2."""


class ConfigError(SemidError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(SemidError):
    """A table or an array that the user gave cannot be used."""


class CodesError(DataError):
    """A code lies outside the range of its level."""


class ArtifactError(SemidError):
    """A trained thing on disk is missing, incomplete or of another kind."""


class ProvenanceError(ArtifactError):
    """An artifact was made from another parent than the one it meets."""


class TrainingError(SemidError):
    """Training cannot go on."""
