"""The image `cpu` without a Docker engine. In: a release binary, and the Dockerfile. Out: exit 0 where the Dockerfile's last stage builds,
what it makes serves as it should in a container, and both are within their budgets of size. Needs root; on Debian buildah, runc and mmdebstrap.

    python tools/deploy/image.py target/release/verbatim [--cache FOLDER]

The stages that compile are not run: it would take a quarter of an hour. In their place the binary is put where they would leave it, and what
they would need is looked at: every file that the binary was built from must pass .dockerignore, every source of a COPY and every package must
exist. What they are built on is a root of Debian's packages made here, since no registry of images is asked. The container is run by runc, as
Docker does it, and as deploy/compose.yaml asks for it: no capabilities, a read-only root, and the filter of system calls that engines have.
"""

import argparse
import fnmatch
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import dockerfile_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEECH = ROOT / "tests/fixtures/speech/english.wav"
MOST_BINARY, MOST_IMAGE = 60_000_000, 150_000_000  # bytes
SECCOMP = "/usr/share/containers/seccomp.json"
KEY = "image-check-0123456789"
# Such a root is made anew when it is older, for Debian's repairs.
BASE_AGE = 7 * 24 * 3600


def run(*command, **more):
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if ran.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {ran.returncode}\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}")
    return ran.stdout


# ---- Looking at the Dockerfile


class Stage:
    def __init__(self, name, base):
        self.name, self.base, self.steps = name, base, []


def stages():
    parser = dockerfile_parse.DockerfileParser(path=str(ROOT / "Dockerfile"))
    arguments, found = {}, []
    for step in parser.structure:
        word, value = step["instruction"], step["value"]
        if word == "ARG" and not found:
            name, _, default = value.partition("=")
            arguments[name] = default
        elif word == "FROM":
            for name, default in arguments.items():
                value = value.replace("${" + name + "}", default)
            base, _, name = re.split(r"\s+", value)
            found.append(Stage(name, base))
        elif found and word != "COMMENT":
            found[-1].steps.append(step)
    return found


def ignored():
    """.dockerignore, as far as it is used here: the last pattern that fits a path or a folder above it decides."""
    rules = [line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines() if line.strip() and not line.startswith("#")]

    def left_out(path):
        out = False
        for rule in rules:
            pattern = rule.lstrip("!").removeprefix("**/")
            anywhere = rule.lstrip("!").startswith("**/")
            parts = path.split("/")
            tried = ["/".join(parts[: end + 1]) for end in range(len(parts))] + (parts if anywhere else [])
            if any(fnmatch.fnmatchcase(each, pattern) and each.count("/") == pattern.count("/") for each in tried):
                out = not rule.startswith("!")
        return out

    return left_out


def judge_sources(all_stages, faults):
    left_out = ignored()
    tracked = run("git", "-C", ROOT, "ls-files").split("\n")[:-1]
    context = [path for path in tracked if not left_out(path)]
    seen = set()
    for stage in all_stages:
        for step in stage.steps:
            words = step["value"].split()
            if step["instruction"] == "COPY" and words[0].startswith("--from="):
                if words[0].removeprefix("--from=") not in seen:
                    faults.append(f"{stage.name}: {step['value']}: there is no such stage before it")
            elif step["instruction"] == "COPY":
                for source in words[:-1]:
                    if source != "." and not any(path == source or path.startswith(source.rstrip("/") + "/") for path in context):
                        faults.append(f"{stage.name}: COPY {source}: nothing of that name passes .dockerignore")
        seen.add(stage.name)
    return context


def judge_inputs(binary, context, faults):
    """cargo leaves a list of the files that went into a binary beside it; COPY . . must bring every one of ours."""
    listed = binary.with_suffix(".d")
    if not listed.is_file():
        return f"{listed.name} is not beside the binary, so the files it is built from were not looked at"
    files = [pathlib.Path(path.replace("\\ ", " ")) for path in re.split(r"(?<!\\)\s+", listed.read_text().split(": ", 1)[1].strip())]
    ours = [str(path.relative_to(ROOT)) for path in files if path.is_relative_to(ROOT)]
    if not ours:
        return f"{listed.name} names no file of this folder: it was built elsewhere"
    for path in [*ours, "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml"]:
        # Folders are named too, where a macro embeds one.
        if path not in context and not any(other.startswith(path + "/") for other in context):
            faults.append(f".dockerignore keeps {path} out, which the binary is built from")
    return f"{len(ours)} files that it is built from are in the context"


def judge_packages(all_stages, faults):
    names = set()
    for stage in all_stages:
        for step in stage.steps:
            for listed in re.findall(r"apt-get install ([^&|;]+)", step["value"]) if step["instruction"] == "RUN" else []:
                names |= {word for word in listed.split() if not word.startswith("-")}
    for name in sorted(names):
        if not subprocess.run(["apt-cache", "show", name], capture_output=True).stdout:
            faults.append(f"the package {name} does not exist in this machine's distribution")
    return sorted(names)


def judge_twins(all_stages, faults):
    """The images differ in what they are built on and in what the driver compiles, in nothing else."""
    kept = {}
    for name in ("cpu", "cuda"):
        stage = next(each for each in all_stages if each.name == name)
        text = "\n".join(f"{step['instruction']} {step['value']}" for step in stage.steps)
        kept[name] = text.replace("--from=build-cuda", "--from=build-cpu").replace(" CUDA_CACHE_PATH=/models/cuda-cache", "")
    if kept["cpu"] != kept["cuda"]:
        faults.append("the stages `cpu` and `cuda` differ in more than their base and CUDA_CACHE_PATH")


# ---- Building


def needs_glibc(binary):
    symbols = run("objdump", "-T", binary)
    return max(tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(\d+\.\d+)", symbols))


def debian_root(codename, cache):
    """A root of Debian's packages as debian:CODENAME-slim has them, from the mirrors that apt uses here."""
    tar = cache / f"{codename}-slim.tar"
    if tar.is_file() and time.time() - tar.stat().st_mtime < BASE_AGE:
        return tar
    places = {}
    for line in run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)").splitlines():
        origin, uri, release = line.split("|")
        if origin == "Debian" and "-" in release:
            places.setdefault(uri, set()).add(release.partition("-")[2])
        elif origin == "Debian":
            places.setdefault(uri, set()).add("")
    lines = [f"deb {uri} {codename}{'-' + part if part else ''} main" for uri, parts in places.items() for part in sorted(parts)]
    if not lines:
        raise SystemExit("apt knows no mirror of Debian here (apt-get update?), so there is nothing to make a root of")
    half = cache / f"{codename}-slim.half.tar"
    slim = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "locale", "man", "info")]
    # usrmerge would bring all of Perl; Docker's own images have usr-is-merged in its place.
    pin = 'printf "Package: usrmerge\\nPin: version *\\nPin-Priority: -1\\n" > "$1/etc/apt/preferences.d/merged"'
    run("mmdebstrap", "--quiet", "--variant=apt", '--aptopt=APT::Install-Recommends "false"', *slim,
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--setup-hook={pin}",
        '--customize-hook=rm "$1/etc/apt/preferences.d/merged"', codename, half, *lines)  # fmt: skip
    half.rename(tar)
    return tar


class Engine:
    """buildah with a store of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.flags = ["--root", folder / "store", "--runroot", folder / "runroot", "--storage-driver", "vfs"]

    def __call__(self, *words, **more):
        return run("buildah", *self.flags, *words, **more)

    def image(self, name, **added):
        """An image of nothing but these: path in it = file here."""
        container = self("from", "scratch").strip()
        for path, file in added.items():
            self("add", "--quiet", container, file, path)
        self("commit", "--quiet", "--rm", container, name)


def build(engine, all_stages, binary, base_tar, authority, scratch):
    stage = next(each for each in all_stages if each.name == "cpu")
    engine.image(f"docker.io/library/{stage.base}", **{"/": base_tar})
    # What its COPY --from=build-cpu would find.
    built = {}
    for step in stage.steps:
        if step["instruction"] == "COPY" and step["value"].startswith("--from=build-cpu "):
            source = step["value"].split()[1]
            built[source] = {"/src/target/release/verbatim": binary, "/etc/ssl/certs/ca-certificates.crt": authority}[source]
    engine.image("localhost/build-cpu", **built)
    lines = (ROOT / "Dockerfile").read_text().splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if line.startswith("FROM ") and line.split()[-1] == "cpu")
    last = next((index for index in range(first + 1, len(lines)) if lines[index].startswith("FROM ")), len(lines))
    (scratch / "Dockerfile").write_text("FROM localhost/build-cpu AS build-cpu\n" + "".join(lines[first:last]))
    engine("bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--file", scratch / "Dockerfile", "--ignorefile",
           ROOT / ".dockerignore", "--tag", "localhost/verbatim:cpu", ROOT)  # fmt: skip
    return json.loads(engine("inspect", "--type", "image", "localhost/verbatim:cpu"))["Docker"]["config"]


def weight(folder):
    """Bytes of files, those with several names once."""
    files = {(stat.st_dev, stat.st_ino): stat.st_size for path in folder.rglob("*") if not path.is_dir() for stat in [path.lstat()]}
    return sum(files.values())


# ---- Running


def docker_filter():
    """Docker's filter of system calls as runc reads it, for a container without capabilities."""
    profile = json.loads(pathlib.Path(SECCOMP).read_text())
    calls = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if includes.get("caps") or ("arches" in includes and "amd64" not in includes["arches"]) or "amd64" in excludes.get("arches", ()):
            continue
        made = {"names": rule["names"], "action": rule["action"]}
        if rule.get("args"):
            made["args"] = rule["args"]
        if rule.get("errnoRet"):
            made["errnoRet"] = rule["errnoRet"]
        calls.append(made)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 38),
            "architectures": ["SCMP_ARCH_X86_64"], "syscalls": calls}  # fmt: skip


class Container:
    def __init__(self, name, rootfs, config, folder, environment, arguments=None):
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        self.state = folder / "runc"
        user, group = map(int, config["User"].split(":"))
        run("runc", "spec", cwd=self.folder)
        spec = json.loads((self.folder / "config.json").read_text())
        spec["root"] = {"path": str(rootfs), "readonly": True}
        words = config["Entrypoint"] + (arguments if arguments is not None else config["Cmd"])
        spec["process"] |= {"terminal": False, "args": words, "user": {"uid": user, "gid": group}, "noNewPrivileges": True,
                            "env": config["Env"] + [f"{key}={value}" for key, value in environment.items()], "rlimits": [],
                            "capabilities": dict.fromkeys(spec["process"]["capabilities"], []), "cwd": config["WorkingDir"] or "/"}  # fmt: skip
        # The machine's own network: addresses to publish are no matter here.
        spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
        spec["linux"]["seccomp"] = docker_filter()
        spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]})
        for path in config["Volumes"]:
            # A new volume has the owner that the folder has in the image.
            volume = self.folder / path.strip("/")
            volume.mkdir()
            owner = (rootfs / path.strip("/")).stat()
            os.chown(volume, owner.st_uid, owner.st_gid)
            spec["mounts"].append({"destination": path, "type": "bind", "source": str(volume), "options": ["rbind", "rw"]})
        (self.folder / "config.json").write_text(json.dumps(spec))
        self.log = open(self.folder / "log", "w+b")
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.runc("run", "--bundle", self.folder, name), stdout=self.log, stderr=self.log)

    def runc(self, *words):
        return ["runc", "--root", str(self.state), *map(str, words)]

    def said(self):
        return (self.folder / "log").read_text(errors="replace")

    def main_process(self):
        return json.loads(run(*self.runc("state", self.name)))["pid"]

    def execute(self, *words, **environment):
        return subprocess.run(self.runc("exec", *[f"--env={key}={value}" for key, value in environment.items()], self.name, *words),
                              capture_output=True, text=True, timeout=30)  # fmt: skip

    def end(self, *, within):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within)

    def remove(self):
        subprocess.run(self.runc("delete", "--force", self.name), capture_output=True)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def ask(port, path, body=None, key=None):
    headers = {"Content-Type": "audio/wav"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until(what, condition, patience=60):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"not within {patience} s: {what}")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Bucket:
    """Somebody behind TLS who counts what comes, and whose certificate an authority of our own has signed. It keeps nothing."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = folder / "authority.pem"
        made = lambda *words: run("openssl", *words, cwd=folder)  # noqa: E731
        made("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority",
             "-keyout", "authority.key", "-out", "authority.pem")  # fmt: skip
        made("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bucket", "-keyout", "key.pem", "-out", "asked.pem")
        (folder / "names").write_text("subjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n")
        made("x509", "-req", "-in", "asked.pem", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2",
             "-extfile", "names", "-out", "certificate.pem")  # fmt: skip

    def __enter__(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        self.asked = asked = []

        class Counting(http.server.BaseHTTPRequestHandler):
            def answer(self):
                asked.append(f"{self.command} {self.path}")
                self.send_error(503)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer
            log_message = lambda *_: None  # noqa: E731

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        # What is not trusted breaks the connection off; that is for the log of the other side.
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def judge_running(config, rootfs, folder, bucket, faults):
    def holds(what, holding, detail=""):
        print(f"  {'ok ' if holding else 'NOT'} {what}{': ' + str(detail) if detail != '' else ''}")
        if not holding:
            faults.append(f"{what}: {detail}")

    closed = Container("closed", rootfs, config, folder, {"VERBATIM_SERVER__PORT": free_port()})
    try:
        holds("without keys it does not start", closed.process.wait(timeout=30) == 64, f"exit {closed.process.returncode}")
    finally:
        closed.remove()

    port = free_port()
    served = Container("served", rootfs, config, folder, {
        "VERBATIM_SERVER__PORT": port, "VERBATIM_SERVER__KEYS": f"image:{KEY}", "VERBATIM_SERVER__DRAIN_DELAY_SECONDS": 1,
        "VERBATIM_MODEL__SLOTS": 2})  # fmt: skip
    try:
        until("/readyz says 200", lambda: served.process.poll() is not None or ask(port, "/readyz")[0] == 200)
        if served.process.poll() is not None:
            raise SystemExit(f"the container ended with {served.process.returncode}:\n{served.said()}")
        print(f"  ready {time.monotonic() - served.started:.1f} s after runc was called")
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{served.main_process()}/status").read_text().splitlines())
        holds("it is user 10001", status["Uid"].split() == ["10001"] * 4, status["Uid"].split()[0])
        holds("without a capability", int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0)
        holds("under the filter of system calls", status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1")
        kind, *test = config["Healthcheck"]["Test"]
        holds("HEALTHCHECK is a command", kind == "CMD", kind)
        sound, sick = served.execute(*test), served.execute(*test, VERBATIM_SERVER__PORT=free_port())
        holds("HEALTHCHECK says 0", sound.returncode == 0, sound.stderr)
        holds("HEALTHCHECK says another where nobody listens", sick.returncode != 0)
        holds("401 without a key", ask(port, "/transcribe", SPEECH.read_bytes())[0] == 401)
        answered, body = ask(port, "/transcribe", SPEECH.read_bytes(), KEY)
        text = json.loads(body).get("text", "") if answered == 200 else body
        # The decoding process, its limits and the filter get on.
        holds("speech is transcribed", answered == 200 and "eggs" in text, text)
        answered, body = ask(port, "/v1/jobs", SPEECH.read_bytes(), KEY)
        holds("a job is taken into /jobs", answered == 202, body[:200] if answered != 202 else "")
        job = lambda: json.loads(ask(port, f"/v1/jobs/{json.loads(body)['id']}", key=KEY)[1])["state"]  # noqa: E731
        until("the job has ended", lambda: job() in ("done", "failed"))
        holds("the job is done", job() == "done")
        holds("SIGTERM ends it with 0", served.end(within=30) == 0, f"exit {served.process.returncode}")
        holds("nothing panicked", "panicked" not in served.said())
        left = [str(path.relative_to(served.folder / "models")) for path in (served.folder / "models").rglob("*")]
        holds("nothing is written into /models by the demo model", not left, left)
    finally:
        served.remove()

    broker = free_port()
    nats = subprocess.Popen(["nats-server", "-js", "-a", "127.0.0.1", "-p", str(broker), "-sd", str(folder / "nats")], stderr=subprocess.DEVNULL)
    gateway = None
    try:
        port = free_port()
        gateway = Container("gateway", rootfs, config, folder, {
            "VERBATIM_SERVER__PORT": port, "VERBATIM_SERVER__KEYS": f"image:{KEY}", "VERBATIM_JOBS__NATS_URL": f"nats://127.0.0.1:{broker}",
            "VERBATIM_JOBS__STORE_URL": "s3://speech/jobs", "VERBATIM_JOBS__STORE_ENDPOINT": bucket.url, "VERBATIM_JOBS__STORE_KEY": "key",
            "VERBATIM_JOBS__STORE_SECRET": "secret", "VERBATIM_SERVER__DRAIN_DELAY_SECONDS": 0}, ["serve", "--no-model"])  # fmt: skip
        # It asks its bucket before it is ready, and this one never has an answer.
        end = time.monotonic() + 20
        while not bucket.asked and gateway.process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        holds("a gateway speaks TLS with its bucket", bucket.asked, bucket.asked[0] if bucket.asked else gateway.said()[-400:])
    finally:
        if gateway:
            gateway.remove()
        nats.terminate()
        nats.wait()


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("binary", type=pathlib.Path)
    asked.add_argument("--cache", type=pathlib.Path, default=ROOT / "target/image")
    given = asked.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("a root of Debian's packages and a container need root")
    given.cache.mkdir(parents=True, exist_ok=True)
    faults, all_stages = [], stages()
    print(f"Dockerfile: {len(all_stages)} stages")
    context = judge_sources(all_stages, faults)
    print(f"  {judge_inputs(given.binary.resolve(), context, faults)}")
    print(f"  packages: {', '.join(judge_packages(all_stages, faults))}")
    judge_twins(all_stages, faults)

    with tempfile.TemporaryDirectory(prefix="image-") as scratch:
        scratch = pathlib.Path(scratch)
        stripped = scratch / "verbatim"
        shutil.copy(given.binary, stripped)
        # As CARGO_PROFILE_RELEASE_STRIP does it in the stage that builds.
        run("strip", stripped)
        size = stripped.stat().st_size
        print(f"binary: {size / 1e6:.1f} MB stripped, model included; the budget is {MOST_BINARY / 1e6:.0f} MB")
        if size > MOST_BINARY:
            faults.append(f"the binary has {size / 1e6:.1f} MB")
        codename = next(each for each in all_stages if each.name == "cpu").base.removeprefix("debian:").removesuffix("-slim")
        base = debian_root(codename, given.cache)
        names = run("tar", "--list", "--file", base)
        has = run("tar", "--extract", "--to-stdout", "--file", base, "./var/lib/dpkg/status")
        glibc = tuple(map(int, re.search(r"^Package: libc6\n(?:.+\n)*?Version: (\d+\.\d+)", has, re.M)[1].split(".")))
        wanted = needs_glibc(stripped)
        print(f"base: Debian {codename}, {names.count(chr(10))} files, glibc {glibc[0]}.{glibc[1]}; the binary wants {wanted[0]}.{wanted[1]} or newer")
        if wanted > glibc:
            codename = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
            print(f"  built on a newer system than the Dockerfile's: the image is tried on {codename}, this machine's own")
            base = debian_root(codename, given.cache)
        engine = Engine(scratch)
        bucket = Bucket(scratch)
        config = build(engine, all_stages, stripped, base, bucket.authority, scratch)
        container = engine("from", "--pull-never", "localhost/verbatim:cpu").strip()
        rootfs = pathlib.Path(engine("mount", container).strip())
        try:
            size = weight(rootfs)
            print(f"image: {size / 1e6:.1f} MB; the budget is {MOST_IMAGE / 1e6:.0f} MB")
            if size > MOST_IMAGE:
                faults.append(f"the image has {size / 1e6:.1f} MB")
            with bucket:
                judge_running(config, rootfs, scratch, bucket, faults)
        finally:
            engine("umount", container)
    print("\n".join(f"FAULT {fault}" for fault in faults) or "the image builds, starts, works and ends as it should")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
