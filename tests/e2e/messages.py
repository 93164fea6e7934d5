"""The messages of tests/e2e/proto as protobuf's own compiler makes them. The build does that (target e2e_messages), once.

Looked for in $WEIR_MESSAGES, which ctest and the C tests set, else in build-test and build."""
import importlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = [os.environ["WEIR_MESSAGES"]] if "WEIR_MESSAGES" in os.environ else [
    os.path.join(ROOT, build, "tests", "e2e", "messages") for build in ("build-test", "build")]


def module(name):
    return importlib.import_module(f"{name}_pb2")


for _folder in FOLDERS:
    if os.path.isdir(_folder):
        sys.path.insert(0, _folder)
        break
else:
    raise ImportError(f"no messages in {' or '.join(FOLDERS)}: build the target e2e_messages, which needs protoc")
