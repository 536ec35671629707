"""How many codes each level has."""

from __future__ import annotations

from semid_tf.config import CodeSpace


def level_sizes(code_space: CodeSpace) -> tuple[int, ...]:
    """Codes to choose from, one number a level.

    >>> level_sizes(CodeSpace(3, 256))
    (256, 256, 256)
    """
    return (code_space.codebook_size,) * code_space.num_levels
