"""Puts a mutant into a process that is running, and takes it out again."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType

from tools.mutation.edits import Mutant


class NotRunnableError(Exception):
    """A mutant that no process can run: Python refuses it, or it changes no function."""


class Swapper:
    """The files of the copy, and what this process has of them."""

    def __init__(self, root: Path, package: str) -> None:
        """Take the copy's root, and the name of the package that is mutated."""
        self._root = root
        self._package = package
        self._functions: dict[str, list[FunctionType]] = {}
        self._time = int(time.time())

    def load(self, files: Iterable[str]) -> None:
        """Import modules now, so that no mutant is what they are first read as."""
        for file in files:
            if file.endswith(".py"):
                importlib.import_module(".".join(Path(file).with_suffix("").parts[1:]))
                self._functions_of(str(self._root / file))

    def put(self, mutant: Mutant, text: str) -> None:
        """Put a mutant into its file and into the functions of this process.

        Args:
            mutant: the mutant.
            text: what its file holds without it.

        Raises:
            NotRunnableError: nothing was changed.
        """
        mutated = mutant.edit.apply(text)
        if mutant.file.endswith(".py"):
            self._swap(mutant.file, text, mutated)
        self._write(mutant.file, mutated)
        self.forget()

    def restore(self, mutant: Mutant, text: str) -> None:
        """Make the mutant's file and this process's functions what they were."""
        self._write(mutant.file, text)
        if mutant.file.endswith(".py"):
            self._swap(mutant.file, mutant.edit.apply(text), text)
        self.forget()

    def _write(self, file: str, text: str) -> None:
        """Write a file with a time of its own, so that byte code of another text is stale."""
        path = self._root / file
        path.write_text(text, encoding="utf-8")
        self._time = max(self._time + 1, int(time.time()))
        os.utime(path, (self._time, self._time))

    def forget(self) -> None:
        """Empty the package's caches, of statements above all."""
        for name, module in list(sys.modules.items()):
            if name == self._package or name.startswith(f"{self._package}."):
                for value in list(vars(module).values()):
                    clear = getattr(value, "cache_clear", None)
                    if clear is not None:
                        clear()

    def _swap(self, file: str, old: str, new: str) -> None:
        """Give functions the code that they have in a new text.

        A function keeps being itself, whoever has imported, decorated or kept it.
        """
        path = str(self._root / file)
        before = dict(_codes(_compiled(old, path)))
        after = dict(_codes(_compiled(new, path)))
        changed = {
            name: code for name, code in after.items() if name in before and code != before[name]
        }
        if not changed:
            raise NotRunnableError("no function is changed")
        functions = self._functions_of(path)
        for name, code in changed.items():
            for function in functions:
                if function.__code__.co_qualname == name:
                    if function.__code__.co_freevars != code.co_freevars:
                        raise NotRunnableError("it is bound to other names")
                    function.__code__ = code

    def _functions_of(self, path: str) -> list[FunctionType]:
        """Return the functions that a file has defined in this process."""
        if path not in self._functions:
            self._functions[path] = [
                one
                for one in gc.get_objects()
                if isinstance(one, FunctionType)
                and one.__code__.co_filename == path
                and "<locals>" not in one.__code__.co_qualname
            ]
        return self._functions[path]


def _compiled(text: str, path: str) -> CodeType:
    try:
        return compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise NotRunnableError(str(error)) from error


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Yield the functions of a module and of its classes, by their qualified names."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            if constant.co_flags & inspect.CO_OPTIMIZED:  # a function, no class
                yield constant.co_qualname, constant
            else:
                yield from _codes(constant)
