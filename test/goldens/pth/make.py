"""Writes zip.pth and legacy.pth as torch.save does (torch/serialization.py), with Python's own pickle and zipfile and stand-ins for torch's
classes, so that it needs no PyTorch: python make.py"""

import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

torch = types.ModuleType("torch")
torch._utils = types.ModuleType("torch._utils")
sys.modules["torch"] = torch
sys.modules["torch._utils"] = torch._utils


def _rebuild_tensor_v2(*args):
    raise NotImplementedError


def _rebuild_parameter(*args):
    raise NotImplementedError


for function in (_rebuild_tensor_v2, _rebuild_parameter):
    function.__module__ = "torch._utils"
    setattr(torch._utils, function.__name__, function)

FORMATS = {
    "Float": "f",
    "Half": "e",
    "BFloat16": None,
    "Double": "d",
    "Long": "q",
    "Int": "i",
    "Short": "h",
    "Char": "b",
    "Byte": "B",
    "Bool": "?",
}
TYPES = {kind: type(f"{kind}Storage", (), {"__module__": "torch"}) for kind in FORMATS}
for kind, cls in TYPES.items():
    setattr(torch, cls.__name__, cls)


class Storage:
    def __init__(self, kind, values):
        self.type = TYPES[kind]
        self.size = len(values)
        if kind == "BFloat16":
            self.bytes = b"".join(struct.pack("<f", value)[2:] for value in values)
        else:
            self.bytes = struct.pack(f"<{self.size}{FORMATS[kind]}", *values)


class Tensor:
    def __init__(self, storage, size, stride=None, offset=0, parameter=False):
        if stride is None:
            stride = []
            for d in reversed(size):
                stride.insert(0, stride[0] * last if stride else 1)
                last = max(d, 1)
        self.storage, self.size, self.stride, self.offset, self.parameter = storage, tuple(size), tuple(stride), offset, parameter

    def __reduce_ex__(self, protocol):
        if self.parameter:
            data = Tensor(self.storage, self.size, self.stride, self.offset)
            return _rebuild_parameter, (data, True, OrderedDict())
        return _rebuild_tensor_v2, (self.storage, self.offset, self.size, self.stride, False, OrderedDict())


class Pickler(pickle.Pickler):
    """Keeps storages out of the pickle and numbers them."""

    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy = legacy
        self.storages = {}

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        keys = {id(storage): key for key, storage in self.storages.items()}
        key = keys.get(id(value), str(len(self.storages)))
        self.storages[key] = value
        return ("storage", value.type, key, "cpu", value.size) + ((None,) if self.legacy else ())


def save_zip(value, path):
    import io

    data = io.BytesIO()
    pickler = Pickler(data, legacy=False)
    pickler.dump(value)
    name = os.path.splitext(os.path.basename(path))[0]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def write(record, content):
            archive.writestr(zipfile.ZipInfo(f"{name}/{record}"), content)

        write("data.pkl", data.getvalue())
        write("byteorder", b"little")
        for key, storage in pickler.storages.items():
            write(f"data/{key}", storage.bytes)
        write("version", b"3\n")


def save_legacy(value, path):
    with open(path, "wb") as file:
        pickle.dump(0x1950A86A20F9469CFC6C, file, protocol=2)
        pickle.dump(1001, file, protocol=2)
        sizes = {"short": 2, "int": 4, "long": 4}
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}, file, protocol=2)
        pickler = Pickler(file, legacy=True)
        pickler.dump(value)
        keys = sorted(pickler.storages)
        pickle.dump(keys, file, protocol=2)
        for key in keys:
            storage = pickler.storages[key]
            file.write(struct.pack("<q", storage.size) + storage.bytes)


counting = Storage("Float", range(24))
tensors = OrderedDict(
    float32=Tensor(Storage("Float", [0, -1.5, 3]), [3]),
    float16=Tensor(Storage("Half", [1, -2, 0.5]), [3]),
    bfloat16=Tensor(Storage("BFloat16", [1, -2]), [2, 1]),
    float64=Tensor(Storage("Double", [0.1]), [1]),
    int64=Tensor(Storage("Long", [1, -(2**40)]), [2]),
    int32=Tensor(Storage("Int", [7, -8]), [1, 2]),
    int16=Tensor(Storage("Short", [1]), [1]),
    int8=Tensor(Storage("Char", [-1, 0, 1]), [3]),
    uint8=Tensor(Storage("Byte", [255]), [1]),
    bool=Tensor(Storage("Bool", [True, False]), [2]),
    scalar=Tensor(Storage("Float", [42]), []),
    empty=Tensor(Storage("Float", []), [0, 4]),
    parameter=Tensor(Storage("Float", [5, 6]), [2], parameter=True),
    whole=Tensor(counting, [2, 3, 4]),
    rows=Tensor(counting, [2, 4], offset=8),
    transposed=Tensor(counting, [4, 6], [1, 4]),
    columns=Tensor(counting, [6, 2], [4, 1], offset=1),
    every_other=Tensor(counting, [2, 3, 2], [12, 4, 2]),
    repeated=Tensor(counting, [3, 2], [0, 1], offset=4),
    unit=Tensor(counting, [1, 3, 1], [999, 1, 999], offset=2),
)
tensors._metadata = OrderedDict([("", {"version": 1}), ("norm", {"version": 1})])
checkpoint = {
    "epoch": 300,
    "loss": 0.25,
    "seed": -(2**70),
    "name": "ViT é",
    "best": None,
    "done": True,
    "sizes": [1, -2, 70000, (1,), (1, 2), (), [], {3}],
    "optimizer": {"state": {0: {"exp_avg": tensors["float32"]}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
    "model": tensors,
}
folder = os.path.dirname(os.path.abspath(__file__))
save_zip(checkpoint, os.path.join(folder, "zip.pth"))
save_legacy(checkpoint, os.path.join(folder, "legacy.pth"))
