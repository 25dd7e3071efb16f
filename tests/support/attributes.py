"""The attributes of a class that declares them, in pure Python or compiled by mypyc."""


def attributes_of(cls: type) -> set[str]:
    """Return their names."""
    return set(getattr(cls, "__mypyc_attrs__", ()) or cls.__dict__["__slots__"])


def values_of(thing: object) -> dict[str, object]:
    """Return their values, by name."""
    return {name: getattr(thing, name) for name in attributes_of(type(thing))}
