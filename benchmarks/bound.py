"""The bound on encoding: its matrix products alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks.contenders import Product


class MatrixProducts:
    """The bare float32 products of an encoder, [rows, inner] x [inner, outer] each, one after the other.

    Products of equal shape share their operands. What an encoder does besides (nearest codes, residuals,
    copies in and out) is left out: no encoder that does these products by the same library is faster.
    """

    def __init__(self, products: Sequence[Product]) -> None:
        self.products = list(products)
        self._operands: dict[int, list[tuple[tf.Tensor, tf.Tensor]]] = {}

    def __call__(self, batch: np.ndarray) -> None:
        """Does the products for a batch of that many items; its values are not looked at."""
        for left, right in self._operands_for(len(batch)):
            tf.linalg.matmul(left, right)

    def _operands_for(self, items: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        if items not in self._operands:
            made = {product: _draw(product, items) for product in dict.fromkeys(self.products)}
            self._operands[items] = [made[product] for product in self.products]
        return self._operands[items]


def _draw(product: Product, items: int) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    shapes = (items * product.rows_per_item, product.inner), (product.inner, product.outer)
    left, right = (random.standard_normal(shape, np.float32) for shape in shapes)
    return tf.constant(left), tf.constant(right)
