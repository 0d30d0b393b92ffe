"""Names for fresh workers."""

from __future__ import annotations

from collections.abc import Container
from itertools import count

_WORDS = (
    "alder arnica aspen auk avens bilberry birch bramble brant burnet caribou campion cassiope char clover cotton "
    "crowberry curlew dipper draba dryas dunlin eider ermine fern fox fulmar gentian godwit goose grayling gull hare "
    "harebell heath heron ibis iris juniper kestrel kittiwake knot lark larch lemming lichen ling linnet loon lupin "
    "lynx marten merlin moss musk narwhal orca osprey otter owl pika pine pipit plover poppy ptarmigan puffin raven "
    "redpoll reindeer rowan sable salmon saxifrage sedge shrike skua snipe sorrel sparrow spruce stoat swan teal tern "
    "thrift thyme trout vole walrus warbler wheatear willow wolf wolverine wren yarrow"
).split()


def fresh_name(seed: int, taken: Container[str]) -> str:
    """The word that `seed` picks, or the next one that is free; numbered once all are taken."""
    for turn in count(1):
        for step in range(len(_WORDS)):
            word = _WORDS[(seed + step) % len(_WORDS)]
            name = word if turn == 1 else f"{word}-{turn}"
            if name not in taken:
                return name
    raise AssertionError("the names never end")
