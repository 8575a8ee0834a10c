"""Run by the tests of the crate: which versions are in a range, and what pip reads."""

import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))
import inputs  # noqa: E402
import version  # noqa: E402

for text, expected in [
    (">=3.9", True), (">=3.11.2,<3.12", True), (">3.11", True), ("<3.11", False), (">= 3.9, < 4", True), ("~=3.10", True),
    ("~=3.11.0", True), ("~=3.10.0", False), ("==3.11.*", True), ("==3.11", True), ("==3.10.*", False), ("!=3.11.*", False),
    ("!=3.11.0", True), ("^3.8", True), ("^3.12", False), ("~3.11", True), ("~3.10", False), ("3.11", True), ("*", True),
    ("<3.10 || >=3.11", True), (">=3.13.0rc1", False), ("banana", None), ("$(reboot)", None), (">=", None),
]:  # fmt: skip
    assert version.satisfies("3.11.2", text) is expected, (text, version.satisfies("3.11.2", text))


def read_by_pip(files):
    """The files that count for requirements.txt, and None if they are not enough."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, content in files.items():
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            with open(name, "w", encoding="utf-8") as file:
                file.write(content)
        found = inputs.Inputs()
        try:
            found.collect("pip")
        except inputs.Moving:
            return None
        finally:
            os.chdir("/")
        return found.files - set(inputs.SETTINGS)


LIBRARY = {"libs/x/pyproject.toml": "", "libs/x/src/x.py": "", "libs/x/node_modules/y.py": "", "other.py": ""}
OF_LIBRARY = {"requirements.txt", "libs/x/pyproject.toml", "libs/x/src/x.py"}
for line in ["-e ./libs/x", "--editable=libs/x[all]", "./libs/x ; python_version > '3'", "x[all] @ ./libs/x", "-e \\\n  ./libs/x  # ours"]:
    assert read_by_pip({"requirements.txt": line + "\n", **LIBRARY}) == OF_LIBRARY, line
NESTED = {"requirements.txt": "\ufeff-ra/b.txt\nflask==3", "a/b.txt": "-c c.txt\n--find-links wheels", "a/c.txt": "", "a/wheels/z.whl": ""}
assert read_by_pip(NESTED) == set(NESTED)
assert read_by_pip({"requirements.txt": "-r requirements.txt\n-r missing.txt"}) == {"requirements.txt", "missing.txt"}
for line, is_fixed in [
    ("git+https://example.com/x.git@main", False), ("x @ git+https://example.com/x.git", False), ("-r https://example.com/r.txt", False),
    (f"x @ git+https://example.com/x.git@{'a' * 40}", True), ("https://example.com/main.zip", False),
    (f"https://example.com/x.whl#sha256={'a' * 64}", True), ("flask>=3", True), ("--index-url https://example.com/simple", True),
]:  # fmt: skip
    assert (read_by_pip({"requirements.txt": line}) is not None) is is_fixed, line
