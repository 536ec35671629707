"""Apache Beam jobs over whole corpora."""

from pipelines._quiet import silence

silence()
