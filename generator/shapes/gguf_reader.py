"""The gguf package's reader, bounded by the end of the file and without long arrays.

Its own reads nothing beyond the end, so that a broken count would loop for ever; and it makes objects of every token
and merge of a vocabulary, which are hundreds of thousands, take many seconds, and are not needed for a shape.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_TYPE, _COUNT = 4, 8  # bytes of an array's type of entries, and of its count or a string's length
_LONG = 10_000  # entries: more than a model has layers


@cache
def bounded_reader() -> Any:  # noqa: ANN401 - a class made of one that is imported late
    """Return the class; it raises ValueError and the like at a broken file, as the one that it is made of."""
    from gguf import GGUFReader, GGUFValueType

    class BoundedReader(GGUFReader):
        def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:  # noqa: ANN401
            found = super()._get(int(offset), dtype, count, override_order)
            if len(found) < int(count):
                raise ValueError(f"it ends at byte {len(self.data)}")
            return found

        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:  # noqa: ANN401
            begin = int(orig_offs)
            if raw_type == GGUFValueType.ARRAY:
                kind = GGUFValueType(_number(self.data, begin, _TYPE))
                count = _number(self.data, begin + _TYPE, _COUNT)
                if count > _LONG:
                    first = begin + _TYPE + _COUNT
                    scalar = self.gguf_scalar_to_np.get(kind)
                    size = count * scalar().itemsize if scalar else _strings(self.data, first, count)
                    if first + size > len(self.data):
                        raise ValueError(f"it ends at byte {len(self.data)}")
                    return _TYPE + _COUNT + size, [], [], [GGUFValueType.ARRAY]
            return super()._get_field_parts(begin, raw_type)

    return BoundedReader


def _number(data: Any, begin: int, size: int) -> int:  # noqa: ANN401 - bytes as an array
    found = data[begin : begin + size].tobytes()
    if len(found) < size:
        raise ValueError(f"it ends at byte {len(data)}")
    return int.from_bytes(found, "little")


def _strings(data: Any, begin: int, count: int) -> int:  # noqa: ANN401 - bytes as an array
    """Return the bytes that strings take from a byte on; nested arrays, which no model has, end as a broken file."""
    end = begin
    for _ in range(count):
        end += _COUNT + _number(data, end, _COUNT)
    return end - begin
