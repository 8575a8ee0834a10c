"""Everything that an installer reads, so that an environment is used again only if none of it has changed.

    inputs.py MANAGER

Prints a checksum, or nothing if the same files can lead to different packages, such as those of a branch; then, one a
line, the names of the packages that are part of the app.
"""

import hashlib
import json
import os
import re
import sys
from urllib.parse import unquote, urlsplit

try:
    import tomllib
except ImportError:  # Python 3.10 and older
    tomllib = None

FILES = {
    "pip": ["requirements.txt"],
    "pipenv": ["Pipfile", "Pipfile.lock"],
    "poetry": ["pyproject.toml", "poetry.lock", "poetry.toml", ".config/pypoetry/config.toml", ".config/pypoetry/auth.toml"],
    "uv": ["pyproject.toml", "uv.lock", "uv.toml", ".config/uv/uv.toml"],
    "project": [],
}
# $HOME is the directory of the app.
SETTINGS = ["pip.conf", ".pip/pip.conf", ".config/pip/pip.conf", ".netrc"]
PRUNED = {".git", ".heroku", ".profile.d", "node_modules", "__pycache__"}
COMMIT = re.compile(r"@[0-9a-f]{40}(#|$)")
BOMS = [(b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")]


class Moving(Exception):
    """What is installed can change while all files stay the same."""


def decoded(data):
    """As pip decodes a file."""
    for bom, encoding in BOMS:
        if data.startswith(bom):
            return data[len(bom) if encoding == "utf-8" else 0 :].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


class Inputs:
    def __init__(self):
        self.files = set()
        self.local = []

    def add(self, path):
        """A file, or all files of a folder."""
        if not os.path.isdir(path):
            self.files.add(os.path.normpath(path))
            return
        for folder, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name not in PRUNED and not name.endswith(".egg-info")]
            self.files.update(os.path.normpath(os.path.join(folder, name)) for name in names)

    def digest(self):
        total = hashlib.sha256()
        for path in sorted(self.files):
            try:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            except OSError:
                content = "missing"
            total.update(f"{path}\0{content}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def requirements(self, path):
        """A file for pip, with those that it includes."""
        if os.path.normpath(path) in self.files:
            return
        self.add(path)
        try:
            with open(path, "rb") as file:
                text = decoded(file.read())
        except OSError:
            return
        for line in re.sub(r"\\\r?\n", " ", text).splitlines():
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            line = re.sub(r"\$\{([A-Z0-9_]+)\}", lambda found: os.environ.get(found[1], found[0]), line)
            if line:
                self.requirement(line, os.path.dirname(path))

    def requirement(self, line, folder):
        option = re.match(r"(--?[a-z-]+?)(?:\s*=\s*|\s+|(?<=^-[a-z]))(\S.*)", line)
        name, value = option.groups() if option else ("", line)
        value = value.strip("\"'")
        if name in ("-r", "--requirement", "-c", "--constraint"):
            if "://" in value:
                raise Moving
            self.requirements(os.path.join(folder, value))
        elif name in ("-f", "--find-links"):
            if "://" not in value:
                self.add(os.path.join(folder, value))
        elif name in ("", "-e", "--editable"):
            self.package(value)

    def package(self, text):
        """A package by its name, URL or path, which is relative to the app."""
        url = re.sub(r"^[A-Za-z0-9._-]+(\[[^]]*\])?\s*@\s*", "", text)
        scheme = urlsplit(url).scheme
        if scheme == "file":
            self.add(unquote(urlsplit(url).path))
        elif "+" in scheme:
            if not COMMIT.search(re.sub(r"\s.*", "", url)):
                raise Moving
        elif scheme in ("http", "https", "ftp"):
            if not re.search(r"#.*(sha256|sha384|sha512)=", url):
                raise Moving
        else:
            path = re.sub(r"\s*(\[[^]]*\])?\s*(;.*)?$", "", url).split(" ")[0]
            if path.startswith(".") or "/" in path or path.endswith((".whl", ".tar.gz", ".zip")):
                self.add(path)

    def locked(self, manager):
        """The packages of a lock file that are part of the app. Others have checksums or commits there."""
        if manager == "pipenv":
            with open("Pipfile.lock", "rb") as file:
                packages = json.loads(decoded(file.read())).get("default", {})
            for of in packages.values():
                if "path" in of or "file" in of:
                    self.package(of.get("path") or of["file"])
                elif "git" in of and not re.fullmatch(r"[0-9a-f]{40}", of.get("ref", "")):
                    raise Moving
            return
        with open(f"{manager}.lock", "rb") as file:
            packages = tomllib.load(file).get("package", [])
        for of in packages:
            source = of.get("source", {})
            if manager == "poetry" and source.get("type") in ("directory", "file"):
                self.add(source["url"])
            for kind in ("editable", "directory", "path") if manager == "uv" else ():
                if kind in source:
                    self.add(source[kind])
                    self.local.append(of["name"])
            if "virtual" in source and manager == "uv":
                self.add(os.path.join(source["virtual"], "pyproject.toml"))

    def collect(self, manager):
        for path in FILES[manager] if manager != "pip" else []:
            self.add(path)
        for path in SETTINGS:
            self.add(path)
        for name in ("PIP_CONFIG_FILE", "UV_CONFIG_FILE"):
            if os.environ.get(name):
                self.add(os.environ[name])
        for name in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_REQUIREMENT"):
            for path in os.environ.get(name, "").split():
                self.requirements(path)
        if manager == "pip":
            self.requirements("requirements.txt")
        elif manager == "project":
            self.add(".")
        else:
            self.locked(manager)


def main(manager):
    inputs = Inputs()
    try:
        inputs.collect(manager)
        print(inputs.digest())
    except (Moving, OSError, ValueError, TypeError, AttributeError, KeyError):
        print()
    for name in inputs.local:
        print(name)


if __name__ == "__main__":
    main(sys.argv[1])
