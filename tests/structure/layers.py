"""Who includes whom: the layers of the source, checked.

    python3 tests/structure/layers.py TOP

Reads every source and build file under TOP and names each line that breaks
a rule, and each source that no CMakeLists.txt builds."""

import os
import re
import sys

# What each folder may include of the others, besides itself and the public
# header; what stands below it in the drawing of src/README.md.
LAYERS = {
    "src/base": [],
    "src/core": ["base"],
    "src/wire": ["base", "core"],
    "src/store": ["base", "core", "wire"],
    "src/net": ["base", "core"],
    "src/node": ["base", "core", "wire", "store", "net"],
    "src/api": ["base", "store", "node"],
    "src/cmd": [],
    "src/extension": ["base", "core", "wire", "store"],
    "sim": ["base", "core", "wire", "store"],
}

# Which libraries, by the beginning of their headers' names; all else in angle
# brackets is libc's.
LIBRARIES = {
    "sodium": "libsodium",
    "msgpack": "msgpack-c",
    "sqlite3": "SQLite",
    "sqlite3ext": "SQLite",
    "zmq": "libzmq",
    "czmq": "czmq",
    "jansson": "jansson",
}
USES = {
    "src/base": ["libsodium"],
    "src/core": [],
    "src/wire": ["msgpack-c"],
    "src/store": ["SQLite"],
    "src/net": ["libzmq", "czmq"],
    "src/node": ["jansson"],
    "src/api": ["jansson"],
    "src/cmd": ["jansson"],
    "src/extension": ["SQLite"],
    "sim": ["SQLite"],
}
# The lab writes plain SQL, as an application would; what SQLite counts in a
# process is for the program to say.
EXCEPTIONS = {("src/cmd/lab.c", "SQLite"), ("src/cmd/lab_files.c", "SQLite"),
              ("src/cmd/memory.c", "SQLite")}

# The core is a function of its events: it has no way to a clock, a file, a
# socket or a thread.
CORE_HEADERS = {"assert.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h",
                "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h"}
CORE_FORBIDDEN = re.compile(
    r"\b(time|clock_gettime|gettimeofday|getenv|fopen|printf|fprintf|puts|"
    r"rand|random|srand|sleep|usleep|nanosleep)\s*\(")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
QUOTED_OR_COMMENT = re.compile(
    r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.DOTALL)


def sources(top, folder):
    for directory, _, names in sorted(os.walk(os.path.join(top, folder))):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(directory, name), top)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as file:
        return file.read()


def library_of(header):
    for start, library in LIBRARIES.items():
        if re.match(start + r"(\b|_|/|\.)", header):
            return library
    return None


def check_quoted(top, folder, path, name):
    """What is wrong with `#include "name"`, or None."""
    if name == "grapevine.h":
        return None
    if ".." in name.split("/") or name.startswith("/"):
        return "leaves the folder"
    if "/" not in name:
        room = os.path.dirname(path)
        if os.path.exists(os.path.join(top, room, name)):
            return None
        return "there is no such file in %s" % room
    if folder == "sim" and name.startswith("sim/"):
        if os.path.exists(os.path.join(top, name)):
            return None
        return "there is no %s" % name
    if not os.path.exists(os.path.join(top, "src", name)):
        return "there is no src/%s" % name
    layer = name.split("/")[0]
    if "src/" + layer == folder or layer in LAYERS[folder]:
        return None
    return "%s may not see %s" % (folder, layer)


def check_angled(folder, path, name):
    library = library_of(name)
    if library is None:
        if folder == "src/core" and name not in CORE_HEADERS:
            return "the core includes nothing that can act on the world"
        return None
    if library in USES[folder] or (path, library) in EXCEPTIONS:
        return None
    return "%s may not use %s" % (folder, library)


def check_includes(top, folder):
    for path in sources(top, folder):
        for number, line in enumerate(read(top, path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match[1] == '"':
                wrong = check_quoted(top, folder, path, match[2])
            else:
                wrong = check_angled(folder, path, match[2])
            if wrong:
                yield "%s:%d: %s: %s" % (path, number, line.strip(), wrong)


def check_core_calls(top):
    for path in sources(top, "src/core"):
        text = QUOTED_OR_COMMENT.sub(
            lambda match: "\n" * match[0].count("\n"), read(top, path))
        for number, line in enumerate(text.splitlines(), 1):
            match = CORE_FORBIDDEN.search(line)
            if match:
                yield "%s:%d: the core calls %s()" % (path, number, match[1])


def check_listed(top, folder):
    """Every .c is named in the CMakeLists.txt beside it."""
    for path in sources(top, folder):
        if not path.endswith(".c"):
            continue
        lists = os.path.join(os.path.dirname(path), "CMakeLists.txt")
        text = ""
        if os.path.exists(os.path.join(top, lists)):
            text = read(top, lists)
        name = os.path.basename(path)[:-2]
        if not re.search(r"(?<![\w.])%s(\.c)?(?!\w)" % re.escape(name), text):
            yield "%s: not in %s: nothing builds it" % (path, lists)


def check_folders(top):
    """A new folder of src must be given its place here."""
    for name in sorted(os.listdir(os.path.join(top, "src"))):
        folder = "src/" + name
        if os.path.isdir(os.path.join(top, folder)) and folder not in LAYERS:
            yield "%s: tests/structure/layers.py does not know this layer" \
                % folder
    for folder in LAYERS:
        if not any(True for _ in sources(top, folder)):
            yield "%s: there is no source in it" % folder


def check(top):
    wrong = list(check_folders(top)) + list(check_core_calls(top))
    for folder in LAYERS:
        wrong += check_includes(top, folder)
        wrong += check_listed(top, folder)
    for folder in ("tests", "tools"):
        wrong += check_listed(top, folder)
    return wrong


if __name__ == "__main__":
    findings = check(sys.argv[1])
    for finding in findings:
        print(finding)
    print("%d findings" % len(findings))
    sys.exit(1 if findings else 0)
