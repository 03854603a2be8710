"""The script that prepares .env, against faked tools: nothing is downloaded and nothing is installed."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "scripts"

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="set-ups at once need util-linux")

# What the script may use of a real system; everything else on its PATH is a fake.
REAL = (
    "bash sh cat chmod cp cut dirname du env flock grep head mkdir mktemp mv nproc readlink rm sed sha256sum"
)
REAL += " sleep sort tail test touch uname"


class Checkout:
    """A copy of the scripts, a cache and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.path, self.tools, self.cache = folder / "check out", folder / "tools", folder / "cache"
        self.calls = folder / "calls"
        self.calls.touch()
        self.tools.mkdir()
        shutil.copytree(SCRIPTS, self.path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "environment.yml"):
            shutil.copy(REPOSITORY / name, self.path)
        for name in REAL.split():
            (self.tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
        self.fake("id", 'case $1 in -u) echo "${FAKE_UID:-0}" ;; *) echo somebody ;; esac')

    @property
    def env(self) -> Path:
        return self.path / ".env"

    def fake(self, name: str, body: str = "", folder: Path | None = None) -> Path:
        """A tool that writes down that it was called and does what ``body`` says."""
        program = (folder or self.tools) / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        program.chmod(0o755)
        return program

    def fake_python(self, dolfinx: str = "", name: str = "python3", folder: Path | None = None) -> Path:
        """A Python that answers the script's questions; ``dolfinx`` as in "0.9.0 real", or none."""
        probe = f"echo {dolfinx}" if dolfinx else "exit 1"
        return self.fake(
            name,
            f'case "$*" in *default_scalar_type*) {probe} ;; *dolfinx.__version__*) echo 0.9.0 ;;'
            " *platform*) echo 3.13.5 ;; *purelib*) echo /dev/null ;; esac",
            folder,
        )

    def fake_uv(self, install: str = "") -> None:
        """A uv that makes a virtual environment of one fake Python."""
        version = re.search(r"uv_version=(\S+)", (SCRIPTS / "lib" / "python.sh").read_text())
        assert version
        stub = self.fake_python("0.9.0 real", "venv-python", self.tools / "hidden")
        self.fake(
            "uv",
            'case "$*" in "--quiet venv"*) for venv; do :; done; mkdir -p "$venv/bin"; '
            f'cp "{stub}" "$venv/bin/python" ;;'
            f" *--requirements*) {install or ':'} ;; esac",
            self.cache / "pxm2mesh" / f"uv-{version[1]}" / "bin",
        )

    def variables(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.tools),
            "HOME": str(self.path),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(self.calls.parent),
            **more,
        }

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [self.path / "scripts" / "env", *arguments]
        return subprocess.run(command, env=self.variables(**more), capture_output=True, text=True, timeout=60)

    def start(self, **more: str) -> subprocess.Popen[str]:
        command = [self.path / "scripts" / "env"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.variables(**more), stdout=pipe, stderr=pipe, text=True)

    def called(self, name: str) -> int:
        return sum(line.startswith(f"{name} ") for line in self.calls.read_text().splitlines())


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """One whose set-up succeeds, on a Python that has DOLFINx."""
    checkout.fake_python("0.9.0 real")
    checkout.fake("mpirun", 'echo "Open MPI 5.0.7"')
    checkout.fake_uv()
    return checkout


def taken(said: str) -> str:
    """The title of the route that was taken."""
    (line,) = [line for line in said.splitlines() if ": taken." in line]
    return line


# ---- which route ----


def old_debian(checkout: Checkout) -> None:
    checkout.fake_python()
    checkout.fake("apt-get")
    checkout.fake("apt-cache", "echo '  Candidate: 1:0.5.2-2+b1'")


def new_debian(checkout: Checkout) -> None:
    checkout.fake_python()
    checkout.fake("apt-get")
    checkout.fake("apt-cache", "echo '  Candidate: 1:0.9.0-7'")


def test_the_active_python_comes_first_when_it_has_dolfinx(checkout: Checkout) -> None:
    new_debian(checkout)
    checkout.fake("mamba")
    checkout.fake_python("0.10.0.post5 real")
    assert "route 1" in taken(checkout.run("--routes").stdout)


@pytest.mark.parametrize("dolfinx", ["0.8.0 real", "0.5.2 real", "0.9.0 complex"])
def test_a_dolfinx_that_does_not_serve_is_named_and_passed_by(checkout: Checkout, dolfinx: str) -> None:
    checkout.fake_python(dolfinx)
    checkout.fake("micromamba")
    said = checkout.run("--routes").stdout
    assert f"DOLFINx {dolfinx}" in said
    assert "route 2" in taken(said)


@pytest.mark.parametrize("tool", ["conda", "mamba", "micromamba", "pixi"])
def test_each_tool_of_the_conda_family_is_found(checkout: Checkout, tool: str) -> None:
    old_debian(checkout)
    checkout.fake(tool)
    assert f"{tool} is on the PATH" in taken(checkout.run("--routes").stdout)


def test_a_system_with_new_packages_uses_them_as_root(checkout: Checkout) -> None:
    new_debian(checkout)
    assert "route 3" in taken(checkout.run("--routes").stdout)


def test_without_being_root_the_command_is_printed(checkout: Checkout) -> None:
    new_debian(checkout)
    said = checkout.run("--routes", FAKE_UID="1000").stdout
    assert "sudo apt-get install python3-dolfinx-real" in said
    assert "sudo apt-get install mmdebstrap bubblewrap uidmap" in said
    assert "route 5" in taken(said)


def test_an_older_debian_gets_a_user_space_of_its_own(checkout: Checkout) -> None:
    old_debian(checkout)
    said = checkout.run("--routes").stdout
    assert "0.5.2" in said
    assert "route 4" in taken(said)


def test_a_container_without_namespaces_falls_back_to_the_mesher(checkout: Checkout) -> None:
    old_debian(checkout)
    checkout.fake("mmdebstrap")
    checkout.fake("bwrap", "exit 1")
    said = checkout.run("--routes").stdout
    assert "--cap-add SYS_ADMIN" in said
    assert "route 5" in taken(said)


def test_without_any_python_the_error_names_the_page(checkout: Checkout) -> None:
    done = checkout.run("--routes")
    assert done.returncode == 1
    assert "docs/how-to/dolfinx.md" in done.stderr
    assert (REPOSITORY / "docs/how-to/dolfinx.md").is_file()


def test_a_python_that_was_asked_for_is_not_replaced_in_silence(checkout: Checkout) -> None:
    python = checkout.fake_python(name="mypython")
    for value, words in [(str(python), "does not import DOLFINx"), ("/nowhere", "no such program")]:
        done = checkout.run("--routes", PXM2MESH_PYTHON=value)
        assert done.returncode == 1
        assert words in done.stderr


def test_a_route_that_was_asked_for_is_taken_or_fails(checkout: Checkout) -> None:
    new_debian(checkout)
    assert "route 5" in taken(checkout.run("--routes", PXM2MESH_ROUTE="mesher").stdout)
    assert checkout.run("--routes", PXM2MESH_ROUTE="conda").returncode == 1


# ---- setting up ----


def test_a_second_set_up_does_nothing(ready: Checkout) -> None:
    first = ready.run()
    assert first.returncode == 0, first.stderr
    assert (ready.env / "bin" / "python").is_file()
    calls = ready.called("uv")
    started = time.perf_counter()
    second = ready.run()
    assert time.perf_counter() - started < 3
    assert "up to date: Python 3.13.5, DOLFINx 0.9.0" in second.stdout
    assert ready.called("uv") == calls


def test_variables_that_dolfinx_needs_again_are_kept(ready: Checkout) -> None:
    ready.run(PETSC_ARCH="it's real")
    command = '. "$1"; printf %s "$PETSC_ARCH"'
    said = subprocess.run(
        ["sh", "-c", command, "sh", ready.env / "bin" / "settings"], capture_output=True, env={}
    )
    assert said.stdout == b"it's real"


def test_a_conda_environment_is_made_once_and_brings_its_compiler(checkout: Checkout) -> None:
    checkout.fake_python()
    checkout.fake_uv()
    stub = checkout.fake_python("0.9.0 real", "conda-python", checkout.tools / "hidden")
    checkout.fake(
        "micromamba",
        f'mkdir -p "$4/bin"; for name in python mpirun x86_64-conda-linux-gnu-cc; do cp "{stub}" "$4/bin/$name"; done',
    )
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "x86_64-conda-linux-gnu-cc" in (checkout.env / "bin" / "settings").read_text()
    shutil.rmtree(checkout.env)
    assert checkout.run().returncode == 0
    assert checkout.called("micromamba") == 1


def test_a_changed_lock_file_makes_it_anew(ready: Checkout) -> None:
    ready.run()
    calls = ready.called("uv")
    with (ready.path / "scripts" / "requirements.lock").open("a") as lock:
        lock.write("numpy==2.4.7\n")
    assert "is ready" in ready.run().stdout
    assert ready.called("uv") == 2 * calls


def test_a_changed_lint_rule_does_not(ready: Checkout) -> None:
    ready.run()
    with (ready.path / "pyproject.toml").open("a") as project:
        project.write("\n[tool.other]\n")
    assert "up to date" in ready.run().stdout


def test_the_mesher_alone_is_looked_at_again(checkout: Checkout) -> None:
    checkout.fake_python()
    checkout.fake_uv()
    assert "without DOLFINx" in checkout.run().stdout
    assert "up to date" in checkout.run().stdout
    checkout.fake_python("0.9.0 real")
    checkout.fake("mpirun")
    assert "route 1" in taken(checkout.run().stdout)


def test_a_failed_step_says_why_and_leaves_nothing(ready: Checkout) -> None:
    ready.fake_uv("echo 'no such wheel' >&2; exit 1")
    done = ready.run()
    assert done.returncode == 1
    assert "no such wheel" in done.stderr
    assert not list(ready.path.glob(".env*"))


def test_a_failed_step_leaves_the_old_environment(ready: Checkout) -> None:
    ready.run()
    ready.fake_uv("exit 1")
    (ready.path / "environment.yml").write_text("changed")
    assert ready.run().returncode == 1
    assert [path.name for path in ready.path.glob(".env*")] == [".env"]
    assert (ready.env / "bin" / "python").is_file()


def test_two_at_once_set_up_once(ready: Checkout) -> None:
    ready.fake_uv("sleep 1")
    both = [ready.start(), ready.start()]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("is ready" in text for text in said) == 1
    assert sum("waited for another" in text for text in said) == 1
    assert ready.calls.read_text().count("--requirements") == 1


def when(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def at_work(pid: str) -> bool:
    stat = Path("/proc", pid, "stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_interrupt_takes_the_running_command_along(ready: Checkout) -> None:
    ready.fake_uv(f'echo $$ >"{ready.path}/pid"; exec sleep 60')
    process = ready.start()
    when(lambda: (ready.path / "pid").is_file() and (ready.path / "pid").read_text() != "")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert not list(ready.path.glob(".env*"))
    when(lambda: not at_work((ready.path / "pid").read_text().strip()))


def test_after_a_kill_the_next_set_up_starts_clean(ready: Checkout) -> None:
    ready.fake_uv("sleep 1; exit 1")
    process = ready.start()
    when(lambda: "--requirements" in ready.calls.read_text())
    process.kill()
    process.communicate(timeout=20)
    assert (ready.path / ".env.part").is_dir()
    ready.fake_uv()
    done = ready.run()
    assert "waited for another" in done.stdout, "the orphan was still at work"
    assert "is ready" in done.stdout
    assert [path.name for path in ready.path.glob(".env*")] == [".env"]


# ---- the private user space ----


@pytest.fixture
def user_space(checkout: Checkout) -> Checkout:
    """A Debian too old; its mmdebstrap downloads one package and makes a /usr, unless told to break off."""
    old_debian(checkout)
    checkout.fake_uv()
    checkout.fake("unshare", 'shift; exec "$@"')
    checkout.fake("bwrap", 'while [ "$1" != -- ]; do [ "$1" = true ] && exit; shift; done; shift; exec "$@"')
    checkout.fake(
        "mmdebstrap",
        'for root; do :; done; mkdir -p "$root/usr"; ls "$PXM2MESH_DEBS" >>"$0.found"; '
        'touch "$PXM2MESH_DEBS/one.deb"; if [ -e "$0.fail" ]; then exit 1; fi',
    )
    (checkout.tools / "ls").symlink_to(shutil.which("ls") or "")
    (checkout.tools / "true").symlink_to(shutil.which("true") or "")
    return checkout


def test_an_interrupted_download_goes_on_where_it_stopped(user_space: Checkout) -> None:
    (user_space.tools / "mmdebstrap.fail").touch()
    assert user_space.run(PXM2MESH_ROUTE="userspace").returncode == 1
    assert not list((user_space.cache / "pxm2mesh").glob("debian-*/usr/../.done"))
    (user_space.tools / "mmdebstrap.fail").unlink()
    user_space.run(PXM2MESH_ROUTE="userspace")
    assert (user_space.tools / "mmdebstrap.found").read_text() == "one.deb\n"
    left = sorted(path.name for path in (user_space.cache / "pxm2mesh").glob("debian-*"))
    assert len(left) == 1
    assert re.fullmatch(r"debian-trixie-[0-9a-f]{12}", left[0]), (
        "packages and half-made trees are cleared away"
    )


def test_a_second_clone_uses_the_same_user_space(user_space: Checkout) -> None:
    user_space.run(PXM2MESH_ROUTE="userspace")
    shutil.rmtree(user_space.env, ignore_errors=True)
    assert "is in the cache" in user_space.run(PXM2MESH_ROUTE="userspace").stdout
    assert user_space.called("mmdebstrap") == 1


# ---- the wrappers ----


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    """A .env whose Python prints its arguments, its folder and some variables."""
    folder = tmp_path / "a place" / ".env" / "bin"
    shutil.copytree(SCRIPTS / "wrappers", folder)
    python = folder.parent / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\necho; pwd; echo "$FOO $OMP_NUM_THREADS $OMPI_MCA_btl"\n')
    python.chmod(0o755)
    names = dict.fromkeys(("root", "bwrap", "headless"), "") | {
        "shared_memory": "sm",
        "base_path": "/usr/bin",
    }
    names |= {"numba_cache": "/nowhere", "mpirun": str(python)}
    (folder / "settings").write_text("".join(f"{name}='{value}'\n" for name, value in names.items()))
    return folder


def output(command: list[str | Path], folder: Path, **variables: str) -> list[str]:
    environment = {"PATH": "/usr/bin:/bin", **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_wrapped_python_is_called_from_anywhere(bin: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(bin / "python")
    for command in (bin / "python", link, "./a place/.env/bin/python", "./link"):
        said = output([command, "-c", "two words"], tmp_path, FOO="kept")
        assert said == ["-c|two words|", str(tmp_path), "kept  self,sm"]


@pytest.mark.parametrize(("option", "ranks"), [("-n", 1), ("-np", 2), ("--np", 1000)])
def test_ranks_times_threads_is_the_number_of_cores(bin: Path, option: str, ranks: int) -> None:
    cores = int(output(["nproc"], bin)[0])
    said = output([bin / "mpirun", option, str(ranks), "program", "-n", "x"], bin)
    assert said[2].split()[0] == str(max(1, cores // ranks))


def test_what_the_user_set_is_kept(bin: Path) -> None:
    said = output([bin / "mpirun", "-n", "2", "x"], bin, OMP_NUM_THREADS="7", OMPI_MCA_btl="tcp")
    assert said[2].split() == ["7", "tcp"]


def test_a_batch_job_may_span_machines(bin: Path) -> None:
    assert "self,sm" not in output([bin / "mpirun", "-n", "2", "x"], bin, SLURM_JOB_ID="1")[2]


def test_without_dolfinx_mpirun_names_the_page(bin: Path) -> None:
    with (bin / "settings").open("a") as settings:
        settings.write("mpirun=''\n")
    done = subprocess.run([bin / "mpirun", "-n", "2"], capture_output=True, text=True)
    assert done.returncode == 7
    assert "docs/how-to/dolfinx.md" in done.stderr


def test_the_user_space_sees_the_folder_it_is_called_from(bin: Path, tmp_path: Path) -> None:
    bwrap = tmp_path / "bwrap"
    bwrap.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    bwrap.chmod(0o755)
    with (bin / "settings").open("a") as settings:
        settings.write(f"root=/some/where/debian-x\nbwrap='{bwrap}'\n")
    said = output([bin / "inside", "program"], tmp_path)
    assert said[-4:] == ["--chdir", str(tmp_path), "--", "program"]
    assert "/some/where/debian-x/usr" in said
    assert "/usr/local" in output([bin / "inside", "program"], Path("/usr/local"))


# ---- the files agree ----


def project() -> dict[str, dict[str, object]]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ]", line, maxsplit=1)[0].lower() for line in requirements}


def test_the_lock_file_pins_every_dependency() -> None:
    lines = (SCRIPTS / "requirements.lock").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if re.match(r"[a-z0-9._-]+==", line)}
    table = project()["project"]
    wanted = names_of(table["dependencies"])  # type: ignore[arg-type]
    for extra in ("dev", "cluster"):
        wanted |= names_of(table["optional-dependencies"][extra])  # type: ignore[index]
    assert wanted - {"pxm2mesh"} <= pinned


def test_the_lock_file_brings_nothing_that_must_come_with_dolfinx() -> None:
    text = (SCRIPTS / "requirements.lock").read_text()
    assert not re.search(r"(?m)^(mpi4py|petsc4py|fenics-\w+)==", text)


def test_the_conda_environment_agrees_with_the_project() -> None:
    text = (REPOSITORY / "environment.yml").read_text()
    oldest = str(project()["project"]["requires-python"]).removeprefix(">=")
    assert f"python >={oldest},<3.15" in text
    assert re.search(r"fenics-dolfinx >=0\.9,<0\.12", text)
    assert "oldest=0.9" in (SCRIPTS / "lib" / "routes.sh").read_text()
    mine = names_of(re.findall(r"(?m)^  - ([\w-]+)", text)) - {"python"}
    assert not mine & names_of(project()["project"]["dependencies"]), "what PyPI has is in pyproject.toml"  # type: ignore[arg-type]


def test_no_script_names_a_package_host() -> None:
    files = [*SCRIPTS.rglob("*"), *map(REPOSITORY.joinpath, ("Makefile", ".ci/run", "environment.yml"))]
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            assert "://" not in file.read_text(), file
