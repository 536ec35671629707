"""A fit that was stopped goes on and ends with the weights, bit for bit, of one that was not."""

from __future__ import annotations

import dataclasses
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from separate_fits import start

import semid_tf as sid
from semid_tf.quantizer.fit import start_rqvae

# 400 items: 4 steps an epoch, 16 in all. Codes are revived all the time, so the draws count.
CONFIG = sid.RQVAEConfig(
    num_levels=2,
    codebook_size=16,
    latent_dim=4,
    hidden_dim=8,
    decoder_dim=1024,
    training_beam_width=1,
    epochs=4,
    batch_size=100,
    kmeans_iterations=3,
    revive_after_steps=1,
    seed=3,
)


class StopError(Exception):
    """What stops a fit here."""


class Watch(tf_keras.callbacks.Callback):
    """Stops after so many steps, or after an epoch; notes the weights and figures of each epoch."""

    def __init__(self, steps: int = 0, epoch: int = 0) -> None:
        super().__init__()
        self.stop_steps, self.stop_epoch, self.steps = steps, epoch, 0
        self.weights, self.logs = {}, {}

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1
        if self.steps == self.stop_steps:
            raise StopError

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.weights[epoch + 1], self.logs[epoch + 1] = self.model.get_weights(), dict(logs or {})
        if epoch + 1 == self.stop_epoch:
            raise StopError


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Four hundred items."""
    return sid.synthetic_items(400, dim=8, seed=1).embeddings


@pytest.fixture(scope="module")
def unbroken(embeddings: np.ndarray) -> tuple[sid.RQVAE, Watch]:
    """A fit that was never stopped, without checkpoints."""
    watch = Watch()
    return sid.fit_rqvae(embeddings, config=CONFIG, callbacks=[watch]), watch


def test_codes_are_revived_in_these_tests(unbroken: tuple[sid.RQVAE, Watch]) -> None:
    logs = unbroken[1].logs
    assert all(sum(logs[epoch][f"revived/level_{level}"] for level in (0, 1)) > 0 for epoch in logs)


@pytest.mark.parametrize(
    ("stop", "every_steps", "steps_left"),
    [
        ({"epoch": 1}, 0, 12),  # at the end of an epoch
        ({"epoch": 3}, 0, 4),
        ({"steps": 10}, 0, 8),  # within one: from its start
        ({"steps": 10}, 3, 7),  # within one, from the ninth step
        ({"steps": 8}, 1, 9),  # an epoch's last step, not yet judged: from the one before
        ({"steps": 2}, 0, 16),  # before the first checkpoint
    ],
)
def test_a_stopped_fit_goes_on_exactly(
    embeddings: np.ndarray,
    unbroken: tuple[sid.RQVAE, Watch],
    tmp_path: Path,
    stop: dict[str, int],
    every_steps: int,
    steps_left: int,
) -> None:
    def fit(watch: Watch) -> sid.RQVAE:
        return sid.fit_rqvae(
            embeddings,
            config=CONFIG,
            checkpoints=tmp_path,
            checkpoint_steps=every_steps,
            callbacks=[watch],
        )

    with pytest.raises(StopError):
        fit(Watch(**stop))
    watch = Watch()
    model = fit(watch)
    assert watch.steps == steps_left
    expected, whole = unbroken
    assert model.fingerprint == expected.fingerprint
    for epoch, weights in watch.weights.items():
        for found, right in zip(weights, whole.weights[epoch], strict=True):
            np.testing.assert_array_equal(found, right)
        assert watch.logs[epoch] == whole.logs[epoch]


def test_a_fit_that_ended_is_not_repeated(
    embeddings: np.ndarray, unbroken: tuple[sid.RQVAE, Watch], tmp_path: Path
) -> None:
    for steps in (16, 0):
        watch = Watch()
        model = sid.fit_rqvae(embeddings, config=CONFIG, checkpoints=tmp_path, callbacks=[watch])
        assert watch.steps == steps
        assert model.fingerprint == unbroken[0].fingerprint
    assert sid.load_checkpoint(tmp_path).fingerprint == model.fingerprint
    assert len(list(tmp_path.glob("*.index"))) == 2, "the last two are kept"


@pytest.mark.filterwarnings("ignore::semid_tf.CodebookCollapseWarning")
def test_a_fit_that_gave_up_is_not_taken_up_again(embeddings: np.ndarray, tmp_path: Path) -> None:
    """Far worse than the start: it ends after five epochs of twelve."""
    config = dataclasses.replace(CONFIG, learning_rate=10.0, epochs=12)
    fingerprints = []
    for steps in (20, 0):
        watch = Watch()
        with pytest.warns(sid.DivergenceWarning, match="in epoch 0, which is kept"):
            model = sid.fit_rqvae(embeddings, config=config, checkpoints=tmp_path, callbacks=[watch])
        assert watch.steps == steps
        fingerprints.append(model.fingerprint)
    assert fingerprints[0] == fingerprints[1] == start_rqvae(embeddings, None, config).fingerprint


def test_a_killed_process_goes_on_exactly(
    embeddings: np.ndarray, unbroken: tuple[sid.RQVAE, Watch], tmp_path: Path
) -> None:
    np.save(tmp_path / "embeddings.npy", embeddings)
    process = start(
        tmp_path, "killed", tmp_path / "embeddings.npy", CONFIG,
        checkpoints=str(tmp_path / "checkpoints"), checkpoint_steps=1, kill_after=7,
    )  # fmt: skip
    assert process.wait(timeout=200) == -signal.SIGKILL, (tmp_path / "killed.log").read_text()[-2000:]
    watch = Watch()
    model = sid.fit_rqvae(embeddings, config=CONFIG, checkpoints=tmp_path / "checkpoints", callbacks=[watch])
    assert watch.steps == 16 - 7
    assert model.fingerprint == unbroken[0].fingerprint


def test_checkpoints_of_other_settings_or_embeddings_are_refused(
    embeddings: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(StopError):
        sid.fit_rqvae(embeddings, config=CONFIG, checkpoints=tmp_path, callbacks=[Watch(epoch=1)])
    both = "settings ([0-9a-f]{16}) and data ([0-9a-f]{16})"
    message = (
        f"^{re.escape(str(tmp_path))} holds checkpoints of {both}, but this fit has {both}; "
        "give it another folder, or remove this one\\.$"
    )
    with pytest.raises(sid.ProvenanceError) as other_settings:
        sid.fit_rqvae(embeddings, config=dataclasses.replace(CONFIG, epochs=5), checkpoints=tmp_path)
    with pytest.raises(sid.ProvenanceError) as other_data:
        sid.fit_rqvae(embeddings[:399], config=CONFIG, checkpoints=tmp_path)
    with pytest.raises(sid.ProvenanceError) as other_weights:
        sid.fit_rqvae(embeddings, np.arange(1, 401), CONFIG, checkpoints=tmp_path)
    for error, same in ((other_settings, 1), (other_data, 0), (other_weights, 0)):
        found = re.match(message, str(error.value))
        assert found, str(error.value)
        old, new = found.groups()[:2], found.groups()[2:]
        assert (old[same] == new[same], old[1 - same] == new[1 - same]) == (True, False)


def test_an_explosion_keeps_the_last_good_checkpoint(embeddings: np.ndarray, tmp_path: Path) -> None:
    """The rate rises from 0: the second step makes weights of 1e29, and the loss of the third is none."""
    config = dataclasses.replace(CONFIG, learning_rate=1e30)
    with pytest.raises(
        sid.TrainingError,
        match=f"^the loss is not finite in epoch 1, step 3; lower learning_rate; the last good checkpoint is "
        f"{re.escape(str(tmp_path))}/fit-2\\.$",
    ):
        sid.fit_rqvae(embeddings, config=config, checkpoints=tmp_path, checkpoint_steps=1)
    saved = sid.load_checkpoint(tmp_path)
    assert saved.config == config
    assert saved.fingerprint == start_rqvae(embeddings, None, config).fingerprint


def test_weights_that_are_not_finite_are_not_saved(embeddings: np.ndarray, tmp_path: Path) -> None:
    class Poison(tf_keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
            if self.model.optimizer.iterations == 5:
                self.model.decoder.linear.kernel.assign(np.inf * np.ones((4, 8)))

    with pytest.raises(
        sid.TrainingError, match=r"epoch 2, step 2; .* the last good checkpoint is .*/fit-5\.$"
    ):
        sid.fit_rqvae(
            embeddings, config=CONFIG, checkpoints=tmp_path, checkpoint_steps=1, callbacks=[Poison()]
        )
    assert np.isfinite(sid.load_checkpoint(tmp_path)(embeddings)).all()


def test_no_checkpoint_and_a_foreign_one(tmp_path: Path) -> None:
    with pytest.raises(sid.ArtifactError, match="has no checkpoint; give the folder that a fit was given"):
        sid.load_checkpoint(tmp_path)
    layer = tf_keras.layers.Dense(1)
    layer.build((None, 1))
    tf.train.CheckpointManager(tf.train.Checkpoint(layer=layer), str(tmp_path), 1).save()
    with pytest.raises(
        sid.ArtifactError, match="is no checkpoint of a fit, or a damaged one; remove its folder"
    ):
        sid.load_checkpoint(tmp_path)
