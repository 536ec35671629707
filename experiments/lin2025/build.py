"""From a setting to a model."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid
from experiments.lin2025.settings import Setting
from experiments.lin2025.world import World

_FIRST_STAGE_STEPS = 1000
_FIRST_STAGE_BATCH = 1024


def build(setting: Setting, world: World, seed: int) -> sid.SequentialModel:
    """The model, its codebooks started on the items of training."""
    tokens: list[tf_keras.layers.Layer] = []
    if setting.semantic:
        tokens.append(_SEMANTIC[setting.semantic](setting, world, seed))
    if setting.id_dim:
        token = sid.IdToken(world.num_items, setting.id_dim, setting.id_dropout, seed)
        token.build(None)
        token.set_counts(world.counts)
        tokens.append(token)
    tower = sid.ItemTower(tokens, setting.merge, setting.neighbours)
    return sid.SequentialModel(tower, _backbone(setting, seed), _loss(setting, world, seed))


def _pieces(setting: Setting, world: World, seed: int) -> tf_keras.layers.Layer:
    config = sid.RQVAEConfig(setting.num_levels, setting.codebook_size, seed=seed)
    warm = np.flatnonzero(world.counts)
    quantizer = sid.fit_rqvae(world.embeddings[warm], world.counts[warm], config)
    tokenizer = sid.NgramTokenizer(quantizer.code_space)
    return sid.SemanticToken.of(world.embeddings, quantizer, tokenizer, setting.dim, seed)


def _dense(setting: Setting, world: World, seed: int) -> tf_keras.layers.Layer:
    return sid.ContentToken.of(world.embeddings, sid.DenseToken(setting.dim, seed))


def _quantized(setting: Setting, world: World, seed: int) -> tf_keras.layers.Layer:
    space = sid.CodeSpace(setting.num_levels, setting.codebook_size)
    layer = sid.QuantizedToken(
        world.embeddings.shape[1],
        space,
        setting.dim,
        assignment=setting.assignment,
        reconstruction_weight=setting.reconstruction_weight,
        seed=seed,
    )
    layer.build(None)
    layer.start(world.embeddings, world.counts.astype(np.float32))
    if setting.two_stages:
        _train_alone(layer, world, seed)
        layer.trainable = False
    return sid.ContentToken.of(world.embeddings, layer)


_SEMANTIC = {"dense": _dense, "pieces": _pieces, "quantized": _quantized}


def _train_alone(layer: sid.QuantizedToken, world: World, seed: int) -> None:
    """The first of two stages: the token learns to restore the content of what is interacted with."""
    random, items = np.random.default_rng(seed), world.split.train.items - 1
    optimizer, content = tf_keras.optimizers.Adam(1e-3), tf.constant(world.embeddings)

    @tf.function
    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            layer(tf.gather(content, rows), tf.ones(_FIRST_STAGE_BATCH), training=True)
            loss = tf.add_n(layer.losses)
        variables = layer.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    optimizer.build(layer.trainable_variables)
    for _ in range(_FIRST_STAGE_STEPS):
        step(tf.constant(random.choice(items, _FIRST_STAGE_BATCH)))


def _backbone(setting: Setting, seed: int) -> sid.Backbone:
    width = setting.dim if setting.semantic else setting.id_dim
    width += width % 2
    mixers = [_mixer(setting, width, seed * 100 + block) for block in range(2)]
    net = 0 if setting.backbone == "hstu" else 4 * width
    norm_first = setting.norm_first or setting.backbone == "hstu"
    length = setting.training.max_length
    return sid.Backbone(mixers, length, net, setting.dropout, norm_first, seed)


def _mixer(setting: Setting, width: int, seed: int) -> tf_keras.layers.Layer:
    if setting.backbone == "hstu":
        return sid.GatedAttention(2, width, setting.training.max_length, seed)
    attention = sid.SelfAttention(2, width, setting.dropout, seed)
    return sid.FrequencyMixer(attention, seed=seed) if setting.backbone == "frequency" else attention


def _loss(setting: Setting, world: World, seed: int) -> sid.SequenceLoss:
    items = np.flatnonzero(world.counts) + 1
    if setting.loss == "full":
        return sid.FullSoftmax(items)
    if setting.loss == "sampled":
        return sid.SampledSoftmax(world.counts, seed=seed)
    return sid.BinaryCrossEntropy(items, seed)
