"""Import every room of the installed package; print how many."""

import importlib
import pkgutil

import shared

names = [f"shared.{found.name}" for found in pkgutil.iter_modules(shared.__path__)]
for name in names:
    importlib.import_module(name)
print(f"{len(names)} rooms of shared {shared.__version__} import")
