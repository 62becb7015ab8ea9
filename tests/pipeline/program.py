# SPDX-License-Identifier: Apache-2.0
"""Runs the program under test, and the frame in which the tests of this folder run.

TARE_PROGRAM names the program, TARE_SOURCE_DIR the root of the checkout. The networks and photographs lie beside
the checkout (../shared); tests that need them are skipped, with that reason, where they are not there.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("TARE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
SHARED = SOURCE.parent / "shared"
MODELS = SHARED / "models"
IMAGES = SHARED / "images"
PROGRAM = os.environ.get("TARE_PROGRAM", str(SOURCE / "build" / "bin" / "tare"))

EXIT_SKIPPED = 77


def need_shared():
    """Skips the calling test where the data beside the checkout are missing."""
    if not MODELS.is_dir() or not IMAGES.is_dir():
        raise unittest.SkipTest("the networks and photographs beside the checkout (../shared) are not there")


def run(*arguments, timeout=300, cwd=None):
    """Runs the program; the result has returncode, stdout and stderr as text."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, cwd=cwd, check=False
    )


class Case(unittest.TestCase):
    """A test with a temporary folder of its own and the checks that all commands share."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tare-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def expect_done(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, f"tare {' '.join(map(str, arguments))}\n{result.stderr}")
        return result

    def expect_error(self, code, words, *arguments, **options):
        """The program must exit with `code` after exactly one error line that holds all `words`."""
        before = set(self.folder.rglob("*"))
        result = run(*arguments, **options)
        self.check_error(result, code, words)
        self.assertEqual(set(self.folder.rglob("*")) - before, set(), "something half-written is left")
        return result

    def check_error(self, result, code, words):
        self.assertEqual(result.returncode, code, f"stdout: {result.stdout}\nstderr: {result.stderr}")
        lines = [line for line in result.stderr.splitlines() if line.startswith("tare: error: ")]
        self.assertEqual(len(lines), 1, f"expected one error line in: {result.stderr}")
        for word in words:
            self.assertIn(word.lower(), lines[0].lower())
        if code == 2:
            self.assertRegex(lines[0], r"; try 'tare( [a-z]+)? --help'$")


def main():
    """Runs the tests of the calling file; exits EXIT_SKIPPED when every one of them was skipped."""
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"there is no program {PROGRAM}; set TARE_PROGRAM")
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0:
        sys.exit("no test was run")
    if len(result.skipped) == result.testsRun:
        print("skipped:", "; ".join(sorted({reason for _, reason in result.skipped})))
        sys.exit(EXIT_SKIPPED)
