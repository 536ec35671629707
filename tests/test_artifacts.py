"""Artifacts: made once, published whole or not at all, never mistaken for another's."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid


def filler(content: str) -> object:
    """A step that writes one file."""

    def fill(folder: Path) -> sid.Made:
        (folder / "data.txt").write_text(content)
        return sid.Made(sid.fingerprint(content), {"length": len(content)})

    return fill


@pytest.fixture
def store(tmp_path: Path) -> sid.ArtifactStore:
    """An empty store."""
    return sid.ArtifactStore(tmp_path / "store")


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_what_is_made_is_found_by_its_inputs(store: sid.ArtifactStore) -> None:
    config = sid.CodeSpace(2, 8)
    inputs = store.inputs("codes", config, ())
    assert store.find("codes", inputs) is None
    made = store.make("codes", config, (), filler("abc"))
    assert store.find("codes", inputs) == made
    assert store.find("codes", store.inputs("codes", sid.CodeSpace(2, 9), ())) is None
    assert store.find("tokenizer", inputs) is None
    assert tree(made.path)["data.txt"] == b"abc"
    assert made.path == store.root / "codes" / sid.fingerprint("abc")


def test_the_manifest_on_disk_says_it_all(store: sid.ArtifactStore) -> None:
    parent = store.make("quantizer", {}, (), filler("q"))
    made = store.make("codes", sid.CodeSpace(2, 8), (parent,), filler("abc"))
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert manifest["kind"] == "codes"
    assert manifest["config"] == {"num_levels": 2, "codebook_size": 8}
    assert manifest["parents"] == {"quantizer": parent.fingerprint}
    assert manifest["metrics"] == {"length": 3}
    assert manifest["versions"]["numpy"] == np.__version__
    assert sid.open_artifact(made.path, "codes") == made


def test_the_same_inputs_twice_are_one_choice_and_two_folders(store: sid.ArtifactStore) -> None:
    first = store.make("codes", {"a": 1}, (), filler("abc"))
    second = store.make("codes", {"a": 1}, (), filler("abc"))
    assert second.path.name == first.path.name + "-2"
    assert first.manifest == second.manifest
    assert store.find("codes", first.manifest.inputs) == first
    # Other inputs with the same content stay apart as well.
    third = store.make("codes", {"a": 2}, (), filler("abc"))
    assert store.find("codes", third.manifest.inputs) == third


def test_another_parent_or_setting_is_another_input(store: sid.ArtifactStore) -> None:
    one, two = (store.make("quantizer", {}, (), filler(content)) for content in ("1", "2"))
    inputs = {
        store.inputs(kind, config, parents)
        for kind in ("codes", "tokenizer")
        for config in ({}, {"a": 1})
        for parents in ((), (one,), (two,))
    }
    assert len(inputs) == 12


def test_a_foreign_parent_is_refused_and_both_are_named(store: sid.ArtifactStore) -> None:
    one, two = (store.make("quantizer", {}, (), filler(content)) for content in ("1", "2"))
    codes = store.make("codes", {}, (one,), filler("abc"))
    codes.require_parent(one)
    message = f"was made with quantizer {one.fingerprint}, but {two.path} is quantizer {two.fingerprint}"
    with pytest.raises(sid.ProvenanceError, match=re.escape(message)):
        codes.require_parent(two)
    with pytest.raises(sid.ProvenanceError, match="was made with quantizer None"):
        one.require_parent(two)


def test_nothing_published_is_overwritten(store: sid.ArtifactStore) -> None:
    made = store.make("codes", {}, (), filler("old"))
    before = tree(store.root)
    with (
        pytest.raises(sid.ArtifactError, match="exists; a published artifact is never overwritten"),
        sid.staging(made.path.parent) as folder,
    ):
        (folder / "data.txt").write_text("new")
        sid.publish(folder, made.path, made.manifest)
    assert tree(store.root) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_nothing(store: sid.ArtifactStore, error: type[BaseException]) -> None:
    def fill(folder: Path) -> sid.Made:
        (folder / "half.txt").write_text("half")
        raise error

    with pytest.raises(error):
        store.make("codes", {}, (), fill)
    assert list((store.root / "codes").iterdir()) == []
    assert store.find("codes", store.inputs("codes", {}, ())) is None


ENDLESS = """
    import time
    from pathlib import Path
    import semid_tf as sid

    def fill(folder):
        (folder / "half.txt").write_text("half")
        print("filling", flush=True)
        time.sleep(60)

    sid.ArtifactStore(Path({root!r})).make("codes", {{}}, (), fill)
"""


@pytest.fixture
def filling(store: sid.ArtifactStore) -> subprocess.Popen:
    """Another process in the middle of a step."""
    program = textwrap.dedent(ENDLESS).format(root=str(store.root))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "filling\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_killed_process_leaves_no_artifact_and_its_folder_goes(
    store: sid.ArtifactStore, filling: subprocess.Popen
) -> None:
    (abandoned,) = (store.root / "codes").iterdir()
    assert abandoned.name.startswith(f".staging-{filling.pid}-")
    # As long as it lives, nobody touches its folder.
    with sid.staging(store.root / "codes") as mine:
        assert abandoned.exists()
    filling.send_signal(signal.SIGKILL)
    filling.wait()
    assert store.find("codes", store.inputs("codes", {}, ())) is None
    with sid.staging(store.root / "codes") as mine:
        assert list((store.root / "codes").iterdir()) == [mine]
    assert list((store.root / "codes").iterdir()) == []


def test_a_folder_killed_just_before_its_rename_is_not_found(store: sid.ArtifactStore) -> None:
    made = store.make("codes", {}, (), filler("abc"))
    made.path.rename(made.path.with_name(f".staging-{2**22 + 1}-xyz"))
    assert store.find("codes", made.manifest.inputs) is None


def test_a_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    with sid.staging(tmp_path) as mine:
        pids = (os.getppid(), 2**22 + 1)
        others = [tmp_path / mine.name.replace(str(os.getpid()), str(pid), 1) for pid in pids]
    for other in others:
        other.mkdir()
    with sid.staging(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == others[:1]


@pytest.mark.parametrize("place", ["", "0123abcd-"], ids=["of an earlier version", "of another machine"])
def test_of_processes_that_cannot_be_seen_only_old_folders_go(tmp_path: Path, place: str) -> None:
    live, old = (tmp_path / f".staging-{2**22 + 1}-{place}{name}" for name in ("live", "old"))
    named_alike = tmp_path / ".staging-area"
    for folder in (live, old, named_alike):
        folder.mkdir()
    days = {live: 29, old: 31, named_alike: 31}
    for folder, age in days.items():
        os.utime(folder, (time.time() - age * 24 * 3600,) * 2)
    with sid.staging(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == sorted([live, named_alike])


# The package itself would import TensorFlow.
PLACE = """
    import importlib.util, sys, types
    package = types.ModuleType("semid_tf")
    package.__path__ = importlib.util.find_spec("semid_tf").submodule_search_locations
    sys.modules["semid_tf"] = package
    from semid_tf import artifacts
    print(artifacts._place())
"""


def test_containers_on_one_machine_do_not_share_a_place(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        with sid.staging(tmp_path) as folder:
            names.append(folder.name.split("-")[2])
    assert names[0] == names[1]
    unshared = ["unshare", "--user", "--pid", "--fork", sys.executable, "-c", textwrap.dedent(PLACE)]
    found = subprocess.run(unshared, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("namespaces cannot be made here")
    assert found.stdout.strip() != names[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no complete artifact: it has no manifest.json"),
        ("{", "manifest.json cannot be read: .*; make the artifact anew"),
        ("[]", "manifest.json cannot be read"),
        ('{"kind": "codes"}', "manifest.json cannot be read"),
        ('{"kind": "codes", "fingerprint": "a", "inputs": "b", "colour": 1}', "manifest.json cannot be read"),
        ('{"kind": "tokenizer", "fingerprint": "a", "inputs": "b"}', "is a tokenizer, not a codes"),
    ],
)
def test_what_is_no_artifact_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(sid.ArtifactError, match=message):
        sid.open_artifact(tmp_path, "codes")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sid.ArtifactError, match="nowhere is no complete artifact"):
        sid.open_artifact(tmp_path / "nowhere", "quantizer")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(PLAIN, PLAIN)
def test_fingerprints_of_plain_values_are_equal_only_for_equal_values(one: object, two: object) -> None:
    equal = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (sid.fingerprint(one) == sid.fingerprint(two)) == equal
    assert re.fullmatch("[0-9a-f]{16}", sid.fingerprint(one))


def test_fingerprints_of_arrays_know_type_shape_and_content() -> None:
    base = np.arange(6, dtype=np.int32)
    others = [base.astype(np.int64), base.reshape(2, 3), base + 1, base[:5], base.astype(">i4")]
    assert len({sid.fingerprint(array) for array in [base, *others]}) == 6
    assert sid.fingerprint(np.arange(12, dtype=np.int32)[::2] // 2) == sid.fingerprint(base)


def test_fingerprints_of_files_are_those_of_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sid.fingerprint(tmp_path / "a") == sid.fingerprint(b"x" * 3_000_000)
    assert sid.fingerprint(lambda: (tmp_path / "a").open("rb")) == sid.fingerprint(tmp_path / "a")
    assert sid.fingerprint(tmp_path / "a") != sid.fingerprint(b"x" * 3_000_001)


def test_parts_do_not_run_into_each_other() -> None:
    assert sid.fingerprint("a", "b") != sid.fingerprint("ab")
    assert sid.fingerprint("a", "b") != sid.fingerprint("b", "a")
    assert sid.fingerprint(b"a", b"b") != sid.fingerprint(b"a\0b")


def test_a_dataclass_counts_as_its_values() -> None:
    space = sid.CodeSpace(2, 8)
    assert sid.fingerprint(space) == sid.fingerprint(dataclasses.asdict(space))
