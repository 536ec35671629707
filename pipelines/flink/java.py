"""Flink's processes as Java command lines: what its shell scripts would say, which its PyPI package lacks."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import semid_tf as sid

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_OPENED = (
    "lang", "lang.reflect", "io", "net", "nio", "text", "time", "util", "util.concurrent",
    "util.concurrent.atomic", "util.concurrent.locks",
)  # fmt: skip
#: Flags of every process of Flink from Java 17 on.
JVM_FLAGS = (
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED),
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
)
_LOG_FLAG = "-Dorg.apache.logging.log4j.level=INFO"


def flink_home() -> Path:
    """The folder of the Flink distribution: `$FLINK_HOME`, or where `make flink` puts it."""
    return Path(os.environ.get("FLINK_HOME", "build/flink")).absolute()


def has_flink(home: Path) -> bool:
    """Whether there is all that a cluster with a job server needs."""
    return (home / "job-server.jar").exists() and shutil.which("java") is not None


def flink_version(home: Path) -> str:
    """Major and minor version of the Flink distribution in a folder, such as "1.19".

    Raises:
        ConfigError: there is none.
    """
    for jar in (home / "lib").glob("flink-dist-*.jar"):
        if found := re.match(r"flink-dist-(\d+\.\d+)\.", jar.name):
            return found.group(1)
    raise sid.ConfigError(
        f"{home}/lib has no flink-dist-*.jar; run `make flink`, or let FLINK_HOME name a Flink distribution."
    )


def java_command(home: Path, entry: str, conf: Path, heap_mb: int) -> list[str]:
    """The command line of a job manager or task manager, configured by the folder `conf`."""
    flags = [*JVM_FLAGS, _LOG_FLAG, f"-Xmx{heap_mb}m"]
    classes = os.pathsep.join([str(home / "lib" / "*"), str(home / "job-server.jar")])
    return ["java", *flags, "-cp", classes, entry, "--configDir", str(conf)]
