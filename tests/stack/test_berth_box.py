"""The program of a dev box, on folders of its own, with programs that only say how they were called."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stack.folders import REPOSITORY

PROGRAM = REPOSITORY / "deploy" / "box" / "berth-box"
SHELLS = {"dash": ("/bin/dash",), "bash": ("/bin/bash", "--posix")}
SETTINGS = "run/berth-box/sshd_config"
FAKES = {
    "sleep": "exec /bin/sleep 0.05",  # the program's second
    "setpriv": 'shift 5; exec "$@"',
    "sshd": '[ "$1" = -t ] && exit; echo sshd "$@" >> "$CALLS"; exec /bin/sleep 600',
    "ssh-keygen": """
        for file; do :; done  # the last argument
        case "$1" in -y) grep -q KEY "$file" ;; *) echo "KEY $$" > "$file"; chmod 600 "$file" ;; esac""",
    "jupyter-lab": 'echo jupyter-lab "$@" >> "$CALLS"; env > "$CALLS.env"; exec /bin/sleep 600',
}


class Box:
    """One container's worth of folders, and the program in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.shell = root, SHELLS["dash"]
        self.calls = root / "calls"
        self._running: subprocess.Popen[bytes] | None = None
        for folder in ("etc/skel", "etc/profile.d", "run/berth", "home/dev", "dev/pts", "bin"):
            (root / folder).mkdir(parents=True)
        owner = (root / "home/dev").stat()
        self.write("etc/passwd", f"root:x:0:0::/root:/bin/sh\ndev:x:{owner.st_uid}:{owner.st_gid}::/home/dev:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        self.write("etc/shadow", "root:*:::::::\ndev:!:::::::\n")
        for name, script in FAKES.items():
            self.program(name, script)

    def program(self, name: str, script: str) -> None:
        file = self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.write_text(text)
        return file

    def order(self, name: str, text: str = "") -> None:
        """As a kubelet does: the whole file at once; no text: no file."""
        file = self.root / "run/berth" / name
        if text:
            file.with_suffix(".new").write_text(text)
            file.with_suffix(".new").rename(file)
        else:
            file.unlink()

    def read(self, name: str) -> str:
        file = self.root / name
        return file.read_text() if file.exists() else ""

    def start(self, *arguments: str, path: str = os.environ["PATH"], **variables: str) -> subprocess.Popen[bytes]:
        own = {"BERTH_BOX_ROOT": str(self.root), "PATH": f"{self.root}/bin:{path}", "CALLS": str(self.calls)}
        with (self.root / "log").open("ab") as log:
            self._running = subprocess.Popen(
                [*self.shell, str(PROGRAM), *arguments], env=own | variables, stdout=log, stderr=log
            )
        return self._running

    def started(self, *arguments: str, **variables: str) -> None:
        """Begin, and come to the point where everything was looked at once."""
        before = self.called("sshd")
        self.start(*arguments, **variables)
        assert comes_true(lambda: self.called("sshd") > before), self.read("log")

    def stop(self) -> int:
        assert self._running is not None
        self._running.terminate()
        return self._running.wait(timeout=20)

    def crash(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        for pid in self.children():
            _kill(pid)

    def called(self, name: str) -> int:
        return sum(line.startswith(name) for line in self.read("calls").splitlines())

    def children(self) -> list[int]:
        """All that still runs of it: known by its own variable."""
        marks = f"CALLS={self.calls}".encode()
        processes = [int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit()]
        return [pid for pid in processes if marks in _environment(pid)]


def _environment(pid: int) -> bytes:
    return _about(pid, "environ")


def _about(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:  # it has ended
        return b""


def comes_true(claim: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.crash()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_box_comes_up_and_ends_in_every_shell(shell: str, box: Box) -> None:
    if not Path(SHELLS[shell][0]).exists():
        pytest.skip(f"{shell} is not here")
    box.shell = SHELLS[shell]
    box.order("authorized_keys", "ssh-ed25519 AAAA ada\n")
    box.order("jupyter-token", "t0ken")
    box.started("echo done")
    assert comes_true(lambda: box.called("jupyter-lab") == 1)
    assert comes_true(lambda: "\ndone\n" in box.read("home/dev/command.log"))
    assert box.read("run/berth-box/authorized_keys") == "ssh-ed25519 AAAA ada\n"
    assert box.stop() == 0
    assert comes_true(lambda: box.children() == [])


@pytest.mark.parametrize("shell", [*SHELLS.values(), ("/bin/busybox", "sh")], ids=lambda shell: shell[0])
def test_the_program_is_plain_sh(shell: tuple[str, ...]) -> None:
    if not Path(shell[0]).exists():
        pytest.skip(f"{shell[0]} is not here")
    assert subprocess.run([*shell, "-n", str(PROGRAM)], capture_output=True, text=True, check=False).stderr == ""


def test_only_people_whose_keys_berth_wrote_come_in_and_never_as_root(box: Box) -> None:
    box.started()
    settings = dict(line.split(" ", 1) for line in box.read(SETTINGS).splitlines())
    assert settings["AuthenticationMethods"] == "publickey"
    assert (settings["PermitRootLogin"], settings["AllowUsers"]) == ("no", "dev")
    assert settings["AuthorizedKeysFile"] == f"{box.root}/run/berth-box/authorized_keys"
    assert stat.S_IMODE((box.root / SETTINGS).stat().st_mode) == 0o600


def test_keys_come_and_go_while_it_runs_and_old_ones_do_not_survive_a_restart(box: Box) -> None:
    keys = "run/berth-box/authorized_keys"
    box.started()
    for text in ("key ada\n", "key ada\nkey grace\n", "key grace\n"):
        box.order("authorized_keys", text)
        assert comes_true(lambda text=text: box.read(keys) == text)
    box.crash()
    box.order("authorized_keys")
    box.started()
    assert comes_true(lambda: box.read(keys).strip() == "")


def test_the_host_key_stays_over_restarts_and_is_roots_alone(box: Box) -> None:
    key = "home/dev/.berth-host-keys/ssh_host_ed25519_key"
    box.started()
    first = box.read(key)
    box.crash()
    box.started()
    assert box.read(key) == first != ""
    assert stat.S_IMODE((box.root / key).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("spoiled", ["link", "cut short"])
def test_a_host_key_that_is_none_is_made_anew_and_nobody_is_led_astray(spoiled: str, box: Box) -> None:
    place, elsewhere = box.root / "home/dev/.berth-host-keys", box.root / "elsewhere"
    elsewhere.mkdir()
    if spoiled == "link":
        place.symlink_to(elsewhere)
    else:
        place.mkdir(mode=0o700)
        (place / "ssh_host_ed25519_key").write_text("KE")
    box.started()
    assert (place / "ssh_host_ed25519_key").read_text().startswith("KEY")
    assert not place.is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_people_have_the_containers_variables_in_their_sessions(box: Box) -> None:
    box.started(NVIDIA_VISIBLE_DEVICES="GPU-1,GPU-2", QUOTED='a "b" \\c', LINES="a\nb", **{"not.a.name": "x"})
    (line,) = (line for line in box.read(SETTINGS).splitlines() if line.startswith("SetEnv"))
    assert ' NVIDIA_VISIBLE_DEVICES="GPU-1,GPU-2"' in line
    assert ' QUOTED="a \\"b\\" \\\\c"' in line
    assert not any(name in line for name in ("LINES", "not.a.name", "HOME"))
    assert "PATH=" in box.read("etc/profile.d/berth-box.sh")


def test_an_image_without_the_user_gets_it_and_a_locked_one_is_opened_to_keys(box: Box) -> None:
    box.started()
    assert "dev:*:" in box.read("etc/shadow")
    box.crash()
    box.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    box.write("etc/shadow", "root:*:::::::\n")
    box.program("chown", "true")
    box.started()
    assert f"dev:x:1081:1081::{box.root}/home/dev:" in box.read("etc/passwd")
    assert "dev:*:" in box.read("etc/shadow")


def test_a_home_of_another_number_is_handed_over_whole_and_its_host_key_stays_roots(box: Box) -> None:
    box.write("etc/passwd", "root:x:0:0::/root:/bin/sh\ndev:x:4242:4242::/home/dev:/bin/sh\n")
    box.program("chown", 'echo "$@" >> "$CALLS.chown"')
    for name in ("home/dev/thesis/chapter", "home/dev/lost+found/piece", "home/dev/.berth-host-keys/old"):
        (box.root / name).parent.mkdir()
        box.write(name, "")
    box.started()
    first, *handed, last = box.read("calls.chown").splitlines()
    home = str(box.root / "home/dev")
    assert (first, last) == (f"{os.getuid()} {home}", f"4242:4242 {home}")  # what was cut short is begun again
    assert set(" ".join(handed).split()) == {"-h", "4242:4242", f"{home}/thesis", f"{home}/thesis/chapter"}


def test_a_notice_is_shown_once_in_every_terminal_and_kept_in_the_home(box: Box) -> None:
    first, second = _terminal(box, 0), _terminal(box, 1)
    box.started()
    box.order("notices", "30 minutes are left\n")
    assert comes_true(lambda: box.read("home/dev/BERTH-NOTICES.txt").count("30 minutes are left") == 1)
    assert [_shown(each) for each in (first, second)] == ["\r\n\a*** Berth: 30 minutes are left\r\n"] * 2
    box.crash()
    box.order("notices", "30 minutes are left\n5 minutes are left\n")
    box.started()
    assert comes_true(lambda: "5 minutes are left" in box.read("home/dev/BERTH-NOTICES.txt"))
    assert [_shown(each) for each in (first, second)] == ["\r\n\a*** Berth: 5 minutes are left\r\n"] * 2
    assert len(box.read("home/dev/BERTH-NOTICES.txt").splitlines()) == 2
    assert box.read("etc/motd").splitlines() == ["30 minutes are left", "5 minutes are left"]


def test_a_terminal_that_takes_nothing_holds_nobody_up(box: Box) -> None:
    master, slave = pty.openpty()
    os.set_blocking(slave, False)
    _fill(slave)
    (box.root / "dev/pts/0").symlink_to(os.ttyname(slave))
    other = _terminal(box, 1)
    box.started()
    box.order("notices", "one\n")
    assert comes_true(lambda: "one" in box.read("home/dev/BERTH-NOTICES.txt"))
    assert "one" in _shown(other)
    box.order("authorized_keys", "key\n")
    assert comes_true(lambda: box.read("run/berth-box/authorized_keys") == "key\n")
    os.close(master)


def test_a_home_that_takes_nothing_holds_nobody_up(box: Box) -> None:
    os.mkfifo(box.root / "home/dev/BERTH-NOTICES.txt")
    terminal = _terminal(box, 0)
    box.started()
    box.order("notices", "one\n")
    assert "one" in _shown(terminal)
    box.order("authorized_keys", "key\n")
    assert comes_true(lambda: box.read("run/berth-box/authorized_keys") == "key\n")


def test_several_notices_at_once_keep_their_order(box: Box) -> None:
    box.order("notices", "".join(f"notice {number}\n" for number in range(5)))
    box.started()
    assert comes_true(lambda: "notice 4" in box.read("home/dev/BERTH-NOTICES.txt"))
    said = box.read("home/dev/BERTH-NOTICES.txt").splitlines()
    assert [line.partition("UTC ")[2] for line in said] == [f"notice {number}" for number in range(5)]


def test_what_a_notice_says_is_text_and_no_terminals_command(box: Box) -> None:
    terminal = _terminal(box, 0)
    box.started()
    box.order("notices", "a\x1b]0;title\x07b; $(reboot) `reboot`\n")
    assert "a]0;titleb; $(reboot) `reboot`" in _shown(terminal)


def test_jupyter_runs_while_it_is_wanted_and_its_token_is_in_no_command_line_nor_variable(box: Box) -> None:
    box.started()
    box.order("jupyter-token", "t0ken")
    assert comes_true(lambda: box.called("jupyter-lab") == 1)
    assert '"t0ken"' in box.read("run/berth-box/jupyter/settings.py")
    assert stat.S_IMODE((box.root / "run/berth-box/jupyter/settings.py").stat().st_mode) == 0o600
    assert not any("t0ken" in box.read(name) for name in ("calls", "calls.env", "log"))
    box.order("jupyter-token")
    assert comes_true(lambda: "Jupyter ends" in box.read("log"))
    assert comes_true(lambda: len(box.children()) <= 3)  # itself, sshd, its second


def test_jupyter_begins_anew_with_another_token_and_when_it_died(box: Box) -> None:
    box.order("jupyter-token", "one")
    box.started()
    assert comes_true(lambda: box.called("jupyter-lab") == 1)
    box.order("jupyter-token", "two")
    assert comes_true(lambda: box.called("jupyter-lab") == 2)
    assert '"two"' in box.read("run/berth-box/jupyter/settings.py")
    _lose(box, "jupyter-lab")
    assert comes_true(lambda: box.called("jupyter-lab") == 3)


def test_an_image_without_jupyter_says_so_once_and_finds_it_when_it_comes(box: Box) -> None:
    (box.root / "bin/jupyter-lab").rename(box.root / "bin/later")
    box.order("jupyter-token", "one")
    box.started()
    assert comes_true(lambda: "pip install jupyterlab" in box.read("home/dev/BERTH-NOTICES.txt"))
    (box.root / "bin/later").rename(box.root / "bin/jupyter-lab")
    assert comes_true(lambda: box.called("jupyter-lab") == 1)
    assert len(box.read("home/dev/BERTH-NOTICES.txt").splitlines()) == 1


def test_the_command_runs_once_at_home_whatever_restarts(box: Box) -> None:
    line = "pwd; echo $USER; exit 3"
    box.started(line)
    assert comes_true(lambda: "ended with 3" in box.read("home/dev/command.log"))
    begins, folder, user, _ = box.read("home/dev/command.log").splitlines()
    assert begins.startswith("--- begins ")
    assert (folder, user) == (f"{box.root}/home/dev", "dev")
    box.crash()
    box.started(line)
    assert comes_true(lambda: "not run again" in box.read("log"))
    assert box.read("home/dev/command.log").count("begins") == 1


def test_sshd_that_died_is_started_again(box: Box) -> None:
    box.started()
    _lose(box, "sshd")
    assert comes_true(lambda: box.called("sshd") == 2)


def test_an_image_that_has_no_sshd_and_gets_none_says_so(box: Box) -> None:
    tools = box.root / "tools"
    tools.mkdir()
    for tool in ("sh", "grep", "cut", "sed", "stat", "id", "mkdir", "chmod", "rm"):
        (tools / tool).symlink_to("/bin/busybox")
    (box.root / "bin/sshd").unlink()
    assert box.start(path=str(tools)).wait(timeout=20) == 1
    assert "an image that has openssh-server" in box.read("log")


def _terminal(box: Box, number: int) -> int:
    master, slave = pty.openpty()
    (box.root / f"dev/pts/{number}").symlink_to(os.ttyname(slave))
    os.set_blocking(master, False)
    return master


def _fill(slave: int) -> None:
    """Write until nothing more is taken."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(slave, b"x" * 1000)


def _shown(master: int) -> str:
    """What the terminal shows since it was last asked; waits a moment for something."""
    heard = bytearray()

    def something() -> bool:
        try:
            heard.extend(os.read(master, 4096))
        except BlockingIOError:
            return heard.endswith(b"\n")
        return False

    comes_true(something, 5)
    return heard.decode().replace("\r\r\n", "\r\n")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _lose(box: Box, name: str) -> None:
    """Kill the stand-in of a program: known by what it became, and by who called it."""
    for pid in box.children():
        is_jupyter = b"JUPYTER_RUNTIME_DIR" in _environment(pid)
        if _about(pid, "cmdline") == b"/bin/sleep\x00600\x00" and is_jupyter == (name == "jupyter-lab"):
            _kill(pid)
