"""
Runs the tests of a file: `python3 tests/flow/test_x.py [-v] [Class[.test] ...]`.  One line a test, and at the end one line
with the counts, which tests/run adds up.
"""
import argparse
import sys
import time
import unittest


class _Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()
        self.sub_failed = False
        self.passed = getattr(self, "passed", 0)

    def _say(self, test, word):
        name = test.id().replace("__main__.", "")
        print(f"{word:<5} {name} ({time.monotonic() - self.begin:.1f} s)", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self._say(test, "ok")

    def _fail(self, test, error):
        if not hasattr(self, "begin"):
            self.begin = time.monotonic()
        self._say(test, "FAIL")
        print("\n".join("    " + line for line in self._exc_info_to_string(error, test).splitlines()), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.begin = getattr(self, "begin", time.monotonic())
        self._say(test, "skip")
        print(f"      {reason}", flush=True)


class Case(unittest.TestCase):
    """
    A TestCase whose parts are made once per class: override setUpParts(cls).  Parts stop themselves when the process ends.
    """
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.setUpParts()

    @classmethod
    def setUpParts(cls):
        pass


def arguments(**defaults):
    """Options of a test file, e.g. arguments(seconds=20): --seconds N; they are taken out of sys.argv."""
    parser = argparse.ArgumentParser(add_help=False)
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return known


def main():
    module = sys.modules["__main__"]
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    result = _Result()
    suite.run(result)
    failed = len(result.failures) + len(result.errors)
    passed = getattr(result, "passed", 0)
    if passed + failed == 0 and not result.skipped:
        print("no test found", file=sys.stderr)
        failed = 1
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
