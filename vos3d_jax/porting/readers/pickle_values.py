"""What the globals of a pickle become: inert values of ours, never the thing that is named.

The table holds what state dicts of torch, numpy and Caffe2 are made of. A name that is not in it is refused
before anything else is looked at.
"""

from collections.abc import Callable

from vos3d_jax.porting.readers.file_bytes import Chunk, printable


class Malformed(Exception):
    """The pickle does what no pickler writes; the message says what."""


class Refused(Exception):
    """The pickle names something that only code could make; the message says what."""


class Global:
    """A name of the table: `call(arguments)` gives the value that a REDUCE or NEWOBJ of it becomes."""

    __slots__ = ("name", "call")

    def __init__(self, name: str, call: Callable[[tuple], object] | None = None):
        self.name, self.call = name, call


class Placeholder:
    """Stands for an object that no weight needs: `name` is its class."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class StorageReference:
    """A storage that a tensor lies in: its class, key, number of elements and window of the root storage."""

    __slots__ = ("kind", "key", "numel", "window")

    def __init__(self, kind: str, key: str, numel: int, window: tuple[int, int] | None = None):
        self.kind, self.key, self.numel, self.window = kind, key, numel, window


class TensorReference:
    """A torch tensor as pickled; `problem` says why its values cannot be read from its storage alone."""

    __slots__ = ("storage", "offset", "shape", "strides", "problem")

    def __init__(self, storage=None, offset=0, shape=(), strides=(), problem: str | None = None):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides
        self.problem = problem


class ArrayType:
    """A numpy dtype as pickled: `code` like "f4", `order` one of "<>|="."""

    __slots__ = ("code", "order")

    def __init__(self, code: str):
        self.code, self.order = code, "="

    def build(self, state: object) -> None:
        """Takes the state that numpy pickles: (version, byte order, ...)."""
        order = text_of(state[1]) if isinstance(state, tuple) and len(state) > 1 else None
        if order is None or order not in tuple("<>|="):
            raise Malformed("state of a dtype")
        self.order = order


class ArrayReference:
    """A numpy array as pickled."""

    __slots__ = ("type", "shape", "fortran", "chunk")

    def __init__(self):
        self.type = self.shape = self.chunk = None
        self.fortran = False

    def build(self, state: object) -> None:
        """Takes the state that numpy pickles: (version, shape, dtype, is_fortran, bytes)."""
        if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], ArrayType)):
            raise Malformed("state of an array")
        _, self.shape, self.type, fortran, chunk = state
        self.fortran = bool(fortran) if isinstance(fortran, int) else False
        self.chunk = chunk


INERT = Placeholder("")


def resolve(module: str, name: str) -> Global:
    """Returns what a global becomes.

    Raises:
        Refused: it is not in the table.
    """
    full = f"{module}.{name}"
    if (known := _KNOWN.get(full)) is not None:
        return known
    owner, _, kind = full.rpartition(".")
    if kind.endswith("Storage") and owner in ("torch", "torch.cuda", "torch.storage"):
        return Global(f"storage {kind}")
    if owner == "torch" and kind in _TORCH_TYPES:
        return Global(full)
    if owner == "torch._utils" and kind.startswith("_rebuild_"):
        return Global(
            full, lambda arguments: TensorReference(problem=f"is made by {full}, which is not read here")
        )
    if full == "argparse.Namespace" or full.startswith(_SKIPPED_MODULES):
        return Global(full, lambda arguments: Placeholder(full))
    raise Refused(f"asks Python for {full}")


def text_of(value: object) -> str | None:
    """Returns a name: text, or the byte string that Python 2 writes for one; None if it is neither."""
    if isinstance(value, Chunk) and value.content is not None:
        return value.content.decode("latin-1")
    return value if isinstance(value, str) else None


def key_of(value: object) -> str | int:
    """Returns a key of a dict: text or a number, which is all that weights and optimisers are filed under."""
    key = text_of(value)
    if key is not None:
        return key
    if isinstance(value, int) and abs(value) < 1 << 63:
        return value
    raise Malformed(f"a key of type {type(value).__name__}")


def _dict(arguments: tuple) -> dict:
    if not arguments:
        return {}
    (content,) = _exactly(arguments, 1)
    if isinstance(content, dict):
        return dict(content)
    pairs = {}
    for pair in content if isinstance(content, list) else _exactly((), 1):
        key, value = _exactly(tuple(pair) if isinstance(pair, list) else pair, 2)
        pairs[key_of(key)] = value
    return pairs


def _first(arguments: tuple) -> object:
    if not arguments:
        raise Malformed("a call without arguments")
    return arguments[0]


def _size(arguments: tuple) -> tuple:
    (size,) = _exactly(arguments, 1)
    return tuple(size) if isinstance(size, list) else _exactly(size)


def _tensor(arguments: tuple) -> TensorReference:
    if len(arguments) not in (4, 6, 7) or not isinstance(arguments[0], StorageReference):
        raise Malformed("arguments of a tensor")
    tensor = TensorReference(*arguments[:4])
    if len(arguments) == 7 and arguments[6]:
        tensor.problem = "carries metadata (conjugated or negated) that changes its values"
    return tensor


def _typed_tensor(arguments: tuple) -> TensorReference:
    builder, kind, inner, _ = _exactly(arguments, 4)
    if not (isinstance(builder, Global) and isinstance(kind, Global) and isinstance(inner, tuple)):
        raise Malformed("arguments of a tensor")
    if builder.call is not _tensor or kind.name not in _TENSOR_CLASSES:
        return TensorReference(problem=f"is a {printable(kind.name)} made by {printable(builder.name)}")
    return _tensor(inner)


def _new_array(arguments: tuple) -> ArrayReference:
    kind = _first(arguments)
    if not (isinstance(kind, Global) and kind.name == "numpy.ndarray"):
        raise Malformed("an array of another class than numpy.ndarray")
    return ArrayReference()


def _array_from_buffer(arguments: tuple) -> ArrayReference:
    chunk, kind, shape, order = _exactly(arguments, 4)
    array = ArrayReference()
    array.build((1, shape, kind, text_of(order) == "F", chunk))
    return array


def _array_type(arguments: tuple) -> ArrayType:
    if (code := text_of(_first(arguments))) is None:
        raise Malformed("arguments of a dtype")
    return ArrayType(code)


def _encode(arguments: tuple) -> Chunk:
    text, codec = _exactly(arguments, 2)
    if text_of(codec) not in ("latin1", "latin-1"):
        raise Refused("asks Python for _codecs.encode with another codec than latin1")
    if isinstance(text, Chunk) and text.content is None:
        return Chunk(text.file, text.offset, text.length, latin1=True)
    if not isinstance(text, str):
        raise Malformed("arguments of _codecs.encode")
    content = text.encode("latin-1")
    return Chunk(None, 0, len(content), content)


def _reconstructed(arguments: tuple) -> Placeholder:
    kind = _first(arguments)
    if not isinstance(kind, Global):
        raise Malformed("arguments of _reconstructor")
    if not kind.name.startswith(_SKIPPED_MODULES) and kind.name != "argparse.Namespace":
        raise Refused(f"asks Python for copyreg._reconstructor of {kind.name}")
    return Placeholder(kind.name)


def _inert(arguments: tuple) -> Placeholder:
    return INERT


def _exactly(arguments: object, count: int | None = None) -> tuple:
    if not isinstance(arguments, tuple) or (count is not None and len(arguments) != count):
        raise Malformed("arguments of a call")
    return arguments


_SKIPPED_MODULES = (
    "mmengine.", "mmcv.", "torch.optim.", "pathlib.", "datetime.", "omegaconf.", "yacs.", "easydict.",
)  # fmt: skip
_TENSOR_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter")
_TORCH_TYPES = frozenset(
    "float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 short int long uint8 uint16 "
    "uint32 uint64 bool complex32 complex64 complex128 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz float8_e8m0fnu qint8 quint8 qint32".split()
)
_CALLS: dict[str, Callable[[tuple], object] | None] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": lambda arguments: _dict(arguments[1:]),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    **dict.fromkeys(_TENSOR_CLASSES),
    "torch.Size": _size,
    "torch.device": _inert,
    "torch.serialization._get_layout": _inert,
    "numpy.ndarray": None,
    "numpy.dtype": _array_type,
    "_codecs.encode": _encode,
    **{
        f"numpy.{core}.{name}": call
        for core in ("core", "_core")
        for name, call in (
            ("multiarray._reconstruct", _new_array),
            ("numeric._frombuffer", _array_from_buffer),
            ("multiarray.scalar", _inert),
        )
    },
    **{f"{module}._reconstructor": _reconstructed for module in ("copyreg", "copy_reg")},
    **{
        f"{module}.{name}": _inert
        for module in ("builtins", "__builtin__")
        for name in ("set", "bytearray", "complex", "int", "long", "float", "list", "dict", "object")
    },
}
_KNOWN = {name: Global(name, call) for name, call in _CALLS.items()}
