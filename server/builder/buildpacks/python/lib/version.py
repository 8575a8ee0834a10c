"""Chooses the Python of an app.

    version.py MANAGER < lines with a version and a path each, newest first

Prints shell assignments: where the version comes from (origin), what it asks for (wanted), the path that was chosen
(python) and its version (full), or what is wrong (problem): invalid, several, unavailable or conflict.
"""

import json
import re
import shlex
import sys

try:
    import tomllib
except ImportError:  # Python 3.10 and older
    tomllib = None

VERSION = re.compile(r"3(\.\d+){0,2}")
PART = re.compile(r"(===|==|!=|<=|>=|<|>|~=|\^|~|)\s*v?(\d+(?:\.\d+)*)(\.\*)?(?:[.-]?(?:a|b|rc|alpha|beta|dev)\.?\d*)?")


def read(name):
    """The text of a file of the app, or None."""
    try:
        with open(name, encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def pyproject():
    text = read("pyproject.toml")
    try:
        return tomllib.loads(text) if text and tomllib else {}
    except ValueError as error:
        sys.exit(f" !     pyproject.toml is not valid TOML: {error}")


def explicit():
    """What a file asks for that is there only for this purpose: its name, and the text, None without one."""
    text = read("runtime.txt")
    if text is not None:
        return "runtime.txt", [text.strip()]
    text = read(".python-version")
    if text is not None:
        lines = (re.sub(r"#.*", "", line).strip() for line in text.splitlines())
        return ".python-version", [line for line in lines if line]
    return None


def locked():
    """What Pipfile.lock requires."""
    try:
        requires = json.loads(read("Pipfile.lock") or "{}")["_meta"]["requires"]
    except (ValueError, KeyError, TypeError):
        return None
    return requires.get("python_full_version") or requires.get("python_version")


def required(manager):
    """The range of versions in pyproject.toml, and where it is."""
    project = pyproject()
    text = project.get("project", {}).get("requires-python")
    if text:
        return "requires-python of pyproject.toml", text
    if manager == "poetry":
        text = project.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
        if isinstance(text, str) and text:
            return "pyproject.toml", text
    return None


def numbers(text):
    return [int(part) for part in re.findall(r"\d+", text)[:3]]


def meets(version, operator, bound, is_prefix):
    """Whether a version of three numbers meets one condition."""
    lowest = (bound + [0, 0])[:3]
    if operator in ("", "==", "==="):
        # "3.11" stands for all of its versions.
        return version[: len(bound)] == bound
    if operator == "!=":
        return version[: len(bound)] != bound if is_prefix else version != lowest
    if operator in ("~=", "^", "~"):
        kept = {"~=": max(1, len(bound) - 1), "^": 1, "~": min(2, len(bound))}[operator]
        return version >= lowest and version[:kept] == bound[:kept]
    return {"<": version < lowest, "<=": version <= lowest, ">": version > lowest, ">=": version >= lowest}[operator]


def satisfies(version, text):
    """Whether a version is in a range; None if it is not a range."""
    found = False
    for alternative in text.split("||"):
        fits = True
        for condition in re.sub(r"(===|==|!=|<=|>=|~=|<|>|\^|~)\s+", r"\1", alternative).replace(",", " ").split():
            if condition == "*":
                continue
            match = PART.fullmatch(condition)
            if not match:
                return None
            fits = fits and meets(numbers(version), match[1], numbers(match[2]), bool(match[3]))
        found = found or fits
    return found


def choose(manager, have):
    """What is printed, by name."""
    said = {"origin": "", "wanted": "", "problem": "", "python": "", "full": ""}
    asked, bounds = explicit(), required(manager)
    if asked:
        said["origin"], words = asked
        if len(words) > 1:
            return {**said, "wanted": " ".join(words), "problem": "several"}
        text = re.sub(r"^(c?python-)", "", words[0]) if words else ""
        if not VERSION.fullmatch(text):
            return {**said, "wanted": text, "problem": "invalid"}
    elif manager == "pipenv" and locked():
        said["origin"], text = "Pipfile.lock", locked()
    elif bounds:
        said["origin"], text = bounds
    else:
        return {**said, "full": have[0][0], "python": have[0][1]}
    said["wanted"] = text
    # The patch version is up to the stack.
    line = ".".join(text.split(".")[:2]) if VERSION.fullmatch(text) else text
    fitting = [one for one in have if satisfies(one[0], line)]
    if satisfies("3.0.0", line) is None:
        return {**said, "problem": "invalid"}
    if not fitting:
        return {**said, "problem": "unavailable"}
    said["full"], said["python"] = fitting[0]
    if bounds and satisfies(said["full"], bounds[1]) is False:
        return {**said, "problem": "conflict", "wanted": bounds[1]}
    return said


if __name__ == "__main__":
    stacks = [line.split(" ", 1) for line in sys.stdin.read().splitlines()]
    for name, value in choose(sys.argv[1], stacks).items():
        print(f"{name}={shlex.quote(value)}")
