"""For every test: the library's own plugin, loaded where coverage can see it."""

pytest_plugins = ["pytester", "shared.testing.plugin"]
