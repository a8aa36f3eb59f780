"""Makes pillow.safetensors and the pictures it speaks of, with Pillow 12.3.0: python make.py

`NAME.jpg` (height, width, 3): the picture as Pillow decodes it. `WxH|mode|filter|WxH` (height, width, channels): what Pillow resizes the
upper left W x H pixels of rgb.png to, in that mode.
"""

import json
import struct
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent / "images"
FILTERS = {f.name.lower(): f for f in Image.Resampling}
SIZES = [
    ((40, 30), (17, 23)),
    ((40, 30), (61, 47)),
    ((300, 200), (3, 5)),
    ((300, 1), (5, 4)),
    ((2, 236), (52, 1)),
    ((2, 201), (3, 190)),
    ((1, 1), (4, 3)),
]

tensors = {}


def keep(name, image):
    shape = [image.height, image.width, len(image.getbands())]
    tensors[name] = {"shape": shape, "data": image.tobytes()}


def jpeg(name, image, edit=lambda data: data, **options):
    image.save(FOLDER / name, **options)
    path = FOLDER / name
    path.write_bytes(edit(path.read_bytes()))
    keep(name, Image.open(path).convert("RGB"))


def without_adobe(data):
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0] :]


def as_ycck(data):
    transform = data.index(b"Adobe") + 11
    return data[:transform] + b"\x02" + data[transform + 1 :]


small = Image.open(FOLDER / "small.png").convert("RGB")
jpeg("gray-restart-7.jpg", small.convert("L"), quality=90, restart_marker_blocks=7)
jpeg("progressive-restart-5.jpg", small, quality=90, subsampling="4:4:4", progressive=True, restart_marker_blocks=5)
jpeg("progressive-gray.jpg", small.convert("L"), quality=90, progressive=True)
jpeg("rgb-components.jpg", small, quality=90, keep_rgb=True)
jpeg("baseline-411.jpg", small, quality=90, subsampling="4:1:1")
jpeg("cmyk-no-adobe.jpg", small.convert("CMYK"), without_adobe, quality=90)
jpeg("ycck.jpg", small.convert("CMYK"), as_ycck, quality=90)

photo = Image.open(FOLDER / "rgb.png").convert("RGB")
for (w, h), (width, height) in SIZES:
    for mode in "RGB", "L":
        picture = photo.crop((0, 0, w, h)).convert(mode)
        for name, resample in FILTERS.items():
            keep(f"{w}x{h}|{mode}|{name}|{width}x{height}", picture.resize((width, height), resample))

header, data = {}, b""
for name, tensor in tensors.items():
    header[name] = {"dtype": "U8", "shape": tensor["shape"], "data_offsets": [len(data), len(data) + len(tensor["data"])]}
    data += tensor["data"]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(FOLDER.parent / "pillow.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
