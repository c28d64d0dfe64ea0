"""The stream that torch wrote from 0.1.10 to 1.5: five pickles without framing, then the raw storages.

The sizes of the storages' items are known only from the fourth pickle, so the raw part is walked after it.
"""

from vos3d_jax.porting.readers.file_bytes import Chunk, FileBytes, listed, printable
from vos3d_jax.porting.readers.lazy import LazyTensor, Storage
from vos3d_jax.porting.readers.pickle_values import TensorReference, text_of
from vos3d_jax.porting.readers.torch_values import DTYPES, OTHER_ITEM_SIZES, StorageIds, tensor
from vos3d_jax.porting.readers.unpickle import Machine

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchLegacy:
    """An open stream: `value` is the object in it, `tensor` reads what its tensors refer to.

    Args:
        file: that is read, open.
        start: where the second pickle begins, after the magic number.

    Raises:
        UserError: it is cut short, malformed, or asks for code to be run.
    """

    container = "torch legacy"

    def __init__(self, file: FileBytes, start: int):
        self._file = file
        ids = StorageIds(items=6)
        machine = Machine(file, start, file.size, ids)
        self._check_system(machine.run(), machine.run())
        self.value = machine.run()
        keys = self._keys(machine.run(), ids)
        self._storages = self._walk(keys, ids, machine.position)
        self.placeholders = tuple(machine.placeholders)
        self.types = (TensorReference,)

    def tensor(self, value: TensorReference) -> LazyTensor | str:
        """Returns a tensor of the state dict, or what is wrong with it."""
        return tensor(value, lambda stored: self._storages[stored.key])

    def _check_system(self, protocol: object, system: object) -> None:
        little = system.get("little_endian") if isinstance(system, dict) else None
        if protocol != _PROTOCOL or not isinstance(little, bool):
            raise self._file.problem(
                f"is not a stream of torch: protocol version {_PROTOCOL} and "
                "system information expected after the magic number"
            )
        self._order = "little" if little else "big"

    def _keys(self, value: object, ids: StorageIds) -> list[str]:
        keys = [text_of(key) for key in value] if isinstance(value, list) else [None]
        stored = set(keys)
        missing = [key for key in ids.references if key not in stored]
        if None in keys or len(stored) != len(keys):
            raise self._file.problem("is damaged: its list of storages is malformed")
        if missing:
            raise self._file.problem(f"is damaged: storages missing: {listed(missing)}")
        return keys

    def _walk(self, keys: list[str], ids: StorageIds, at: int) -> dict[str, Storage | str]:
        storages: dict[str, Storage | str] = {}
        end = self._file.size
        for key in keys:
            stored = ids.references.get(key)
            if stored is None:
                raise self._file.problem(f"is damaged: no tensor tells the type of storage {printable(key)}")
            dtype = DTYPES.get(stored.kind)
            itemsize = dtype.itemsize if dtype is not None else OTHER_ITEM_SIZES.get(stored.kind)
            if itemsize is None:
                raise self._file.problem(f"holds a {printable(stored.kind)}, a type that is not read here")
            size = stored.numel * itemsize
            if at + 8 + size > end:
                raise self._file.problem(
                    f"is cut short (truncated): storage {key} needs {size} bytes, "
                    f"{max(0, end - at - 8)} are there; fetch the file again"
                )
            numel = int.from_bytes(self._file.read(at, 8), self._order, signed=True)
            if numel != stored.numel:
                raise self._file.problem(
                    f"is damaged: storage {key} has {numel} elements, {stored.numel} declared"
                )
            if dtype is not None:
                swapped = self._order == "big"
                storages[key] = Storage(key, Chunk(self._file, at + 8, size), dtype, swapped)
            at += 8 + size
        if at != end:
            raise self._file.problem(f"is damaged: {end - at} bytes follow its last storage")
        return storages
