"""libghostty-vt through pyghostty: the default engine.

pyghostty's own `Terminal` covers a part of the C API; this module uses the complete one (`ffi`, `lib`) for exact
snapshots, cell styles and limits. A grid reference is only valid until the next change, so none is kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, ClassVar, Self

from at_session.engines import SCROLLBACK_ROWS
from at_session.engines.screen import (
    BLANK,
    PLAIN,
    Cell,
    Color,
    Cursor,
    CursorShape,
    Modes,
    MouseTracking,
    Row,
    Style,
    printable,
    trimmed,
)
from at_session.errors import EngineMissing, SnapshotRejected, SnapshotUnavailable

try:
    import pyghostty  # type: ignore[import-untyped]
    from pyghostty._ffi import union_fn  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise EngineMissing("ghostty", "pyghostty") from error

ffi: Any = pyghostty.ffi
lib: Any = pyghostty.lib

# cffi parses every type name it has not met, 9 ms each; as fields of one struct they are parsed in one go.
ffi.cdef("""
struct at_session_types {
    GhosttyTerminal *terminal; GhosttyRenderState *render; GhosttyRenderStateRowIterator *row_iterator;
    GhosttySnapshotDecoder *decoder; GhosttyTerminalModeConfig *mode; GhosttyTerminalScreen *screen;
    GhosttyRenderStateCursor *cursor; GhosttyCellsView *cells; GhosttyRenderStateDirty *dirty; GhosttyCell *cell; GhosttyRow *row;
    GhosttyPointS *point; GhosttyGridRef *grid_ref; GhosttyStyle *style; GhosttyString *string;
    GhosttyCellContentTag *tag; GhosttyCellWide *wide; GhosttyColorRgb *rgb; GhosttyCellData keys[4];
    uint8_t *uint8; uint16_t *uint16; uint32_t *uint32; uint64_t *uint64; size_t *size; uintptr_t *address;
    uint8_t **buffer; bool *boolean; void *values[4]; uint32_t codepoints[];
};
""")
TYPES: dict[str, Any] = {name: field.type for name, field in ffi.typeof("struct at_session_types").fields}

# The default of 10 kB keeps one page of scrollback (a few hundred rows) whatever the limit in rows says.
SCROLLBACK_BYTES = 64 << 20
# The library drops whole pages, so it ends up below its limit; the surplus keeps the rows that were promised.
PAGE_ROWS = 1024
# An unfinished sequence up to this size is part of a snapshot. Longer ones are no terminal output any more.
CONTINUATION_BYTES = 1 << 20
APC_BYTES = 64 << 10
# Ink, ratatui and opentui count a grapheme cluster as one character, so must we, or their columns do not line up.
GRAPHEME_CLUSTERS = 2027
MARGINS = 69

CURSOR_SHAPES: dict[int, CursorShape] = {
    lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_BAR: "bar",
    lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_UNDERLINE: "underline",
}
MOUSE_MODES: tuple[tuple[int, MouseTracking], ...] = (
    (1003, "motion"),
    (1002, "drag"),
    (1000, "buttons"),
    (9, "press"),
)


class GhosttyEngine:
    """`Engine` over one `GhosttyTerminal`, freed with `close` or with the object."""

    name: ClassVar[str] = "ghostty"
    version: ClassVar[str] = f"pyghostty {pyghostty.__version__}"
    limitation: ClassVar[str | None] = None
    slow: ClassVar[bool] = False

    def __init__(self, rows: int, cols: int, scrollback: int = SCROLLBACK_ROWS) -> None:
        handle = ffi.new(TYPES["terminal"])
        _check(lib.ghostty_terminal_new(ffi.NULL, handle, cols, rows))
        self._adopt(handle[0], scrollback)
        for option in (lib.GHOSTTY_TERMINAL_OPT_MODE_DEFAULT, lib.GHOSTTY_TERMINAL_OPT_MODE):
            self._set(option, "mode", {"mode": GRAPHEME_CLUSTERS, "value": True})

    @classmethod
    def restore(cls, state: bytes, rows: int, cols: int, scrollback: int) -> Self:
        engine = cls.__new__(cls)
        engine._adopt(_decode(state), scrollback)
        if (engine._get("ROWS", "uint16"), engine._get("COLS", "uint16")) != (rows, cols):
            raise SnapshotRejected("its size is not the one its header names")
        return engine

    def _adopt(self, terminal: Any, scrollback: int) -> None:
        """Take over `terminal` and set what a snapshot does not carry. Nothing here changes what is shown."""
        self._terminal = terminal
        self._free = weakref.finalize(self, lib.ghostty_terminal_free, terminal)
        self._scrollback = scrollback
        self._rows: tuple[Row, ...] = ()
        state = ffi.new(TYPES["render"])
        _check(lib.ghostty_render_state_new(ffi.NULL, state))
        self._render = state[0]
        self._free_render = weakref.finalize(self, lib.ghostty_render_state_free, state[0])
        rows = ffi.new(TYPES["row_iterator"])
        _check(lib.ghostty_render_state_row_iterator_new(ffi.NULL, rows))
        self._row_iterator = rows
        self._free_rows = weakref.finalize(self, lib.ghostty_render_state_row_iterator_free, rows[0])
        limits = (
            (lib.GHOSTTY_TERMINAL_OPT_SCROLLBACK_MAX_BYTES, "size", SCROLLBACK_BYTES),
            (lib.GHOSTTY_TERMINAL_OPT_SCROLLBACK_MAX_LINES, "size", scrollback + PAGE_ROWS),
            (lib.GHOSTTY_TERMINAL_OPT_CONTINUATION_MAX_BYTES, "size", CONTINUATION_BYTES),
            (lib.GHOSTTY_TERMINAL_OPT_APC_MAX_BYTES, "size", APC_BYTES),
            (lib.GHOSTTY_TERMINAL_OPT_CLIPBOARD_WRITE_MAX_BYTES, "size", 0),
            (lib.GHOSTTY_TERMINAL_OPT_KITTY_IMAGE_STORAGE_LIMIT, "uint64", 0),
        )
        for option, ctype, value in limits:
            self._set(option, ctype, value)

    def save(self) -> bytes:
        if self._full_before_the_edge():
            raise SnapshotUnavailable(
                "left and right margins are set, whose full lines libghostty-vt forgets"
            )
        data, length = ffi.new(TYPES["buffer"]), ffi.new(TYPES["size"])
        result = lib.ghostty_snapshot_encode_alloc(self._terminal, ffi.NULL, data, length)
        if result == lib.GHOSTTY_INVALID_VALUE:
            raise SnapshotUnavailable(
                f"inside a sequence that is over {CONTINUATION_BYTES} bytes long or no sequence at all, "
                "or a wide character was cut by a resize"
            )
        _check(result)
        try:
            return bytes(ffi.buffer(data[0], length[0]))
        finally:
            lib.ghostty_free(ffi.NULL, data[0], length[0])

    def _full_before_the_edge(self) -> bool:
        """A line may be full up to a right margin, on this screen or the other one."""
        if self._mode(MARGINS):
            return True
        full: bool = self._get("CURSOR_PENDING_WRAP", "boolean")
        return full and self._get("CURSOR_X", "uint16") != self._get("COLS", "uint16") - 1

    def feed(self, data: bytes) -> None:
        lib.ghostty_terminal_vt_write(self._terminal, data, len(data))

    def resize(self, rows: int, cols: int) -> None:
        _check(lib.ghostty_terminal_resize(self._terminal, cols, rows, 8, 16))

    def screen(self) -> tuple[Row, ...]:
        """Only rows that changed since the last call are read again; libghostty-vt marks them."""
        self._update()
        dirty, view, iterator = ffi.new(TYPES["dirty"]), ffi.new(TYPES["cells"]), self._row_iterator
        row_dirty = ffi.new(TYPES["boolean"])
        self._render_get(lib.GHOSTTY_RENDER_STATE_DATA_DIRTY, dirty)
        if dirty[0] == lib.GHOSTTY_RENDER_STATE_DIRTY_FALSE and self._rows:
            return self._rows
        known = self._rows if dirty[0] == lib.GHOSTTY_RENDER_STATE_DIRTY_PARTIAL else ()
        self._render_get(lib.GHOSTTY_RENDER_STATE_DATA_ROW_ITERATOR, iterator)
        rows: list[Row] = []
        reader = _CellReader()
        get = lib.ghostty_render_state_row_get
        while lib.ghostty_render_state_row_iterator_next(iterator[0]):
            _check(get(iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_DIRTY, row_dirty))
            if known and not row_dirty[0]:
                rows.append(known[len(rows)])
                continue
            _check(get(iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_CELLS_RAW, view))
            raw = memoryview(ffi.buffer(view.ptr, view.len * 8)).cast("Q").tolist()
            rows.append(reader.row(raw, self._reference(len(rows), lib.GHOSTTY_POINT_TAG_ACTIVE)))
        _check(lib.ghostty_render_state_clean(self._render))
        self._rows = tuple(rows)
        return self._rows

    def scrollback(self, start: int, count: int) -> tuple[Row, ...]:
        kept = self.scrollback_length()
        surplus = self._get("SCROLLBACK_ROWS", "size") - kept
        cols = self._get("COLS", "uint16")
        reader, cell = _CellReader(), ffi.new(TYPES["cell"])
        rows: list[Row] = []
        for index in range(start, min(kept, start + count)):
            reference = self._reference(surplus + index, lib.GHOSTTY_POINT_TAG_HISTORY)
            raw = []
            for reference.x in range(cols):
                _check(lib.ghostty_grid_ref_cell(reference, cell))
                raw.append(cell[0])
            rows.append(reader.row(raw, reference))
        return tuple(rows)

    def scrollback_length(self) -> int:
        return min(int(self._get("SCROLLBACK_ROWS", "size")), self._scrollback)

    def cursor(self) -> Cursor:
        self._update()
        cursor = ffi.new(TYPES["cursor"])
        cursor.size = ffi.sizeof(cursor[0])
        self._render_get(lib.GHOSTTY_RENDER_STATE_DATA_CURSOR, cursor)
        return Cursor(
            row=self._get("CURSOR_Y", "uint16"),
            col=self._get("CURSOR_X", "uint16"),
            visible=bool(cursor.visible),
            shape=CURSOR_SHAPES.get(cursor.visual_style, "block"),
        )

    def modes(self) -> Modes:
        alternate = self._get("ACTIVE_SCREEN", "screen")
        return Modes(
            alternate_screen=alternate == lib.GHOSTTY_TERMINAL_SCREEN_ALTERNATE,
            application_cursor=self._mode(1),
            application_keypad=self._mode(66),
            bracketed_paste=self._mode(2004),
            focus_events=self._mode(1004),
            mouse=next((word for number, word in MOUSE_MODES if self._mode(number)), "off"),
            mouse_sgr=self._mode(1006),
            kitty_keyboard=self._get("KITTY_KEYBOARD_FLAGS", "uint8"),
        )

    def title(self) -> str:
        title = self._get("TITLE", "string")
        text: bytes = ffi.buffer(title.ptr, title.len)[:] if title.len else b""
        return printable(text.decode("utf-8", "replace"))

    def close(self) -> None:
        self._free_rows()
        self._free_render()
        self._free()

    def _update(self) -> None:
        _check(lib.ghostty_render_state_update(self._render, self._terminal))

    def _render_get(self, key: int, out: Any) -> None:
        _check(lib.ghostty_render_state_get(self._render, key, out))

    def _set(self, option: int, ctype: str, value: object) -> None:
        _check(lib.ghostty_terminal_set(self._terminal, option, ffi.new(TYPES[ctype], value)))

    def _get(self, key: str, ctype: str) -> Any:
        out = ffi.new(TYPES[ctype])
        _check(lib.ghostty_terminal_get(self._terminal, getattr(lib, f"GHOSTTY_TERMINAL_DATA_{key}"), out))
        return out[0]

    def _mode(self, number: int) -> bool:
        config = ffi.new(TYPES["mode"], {"mode": number})
        _check(lib.ghostty_terminal_get(self._terminal, lib.GHOSTTY_TERMINAL_DATA_MODE, config))
        return bool(config.value)

    def _reference(self, row: int, tag: int) -> Any:
        point = ffi.new(TYPES["point"])
        point.tag, point.value.x, point.value.y = tag, 0, row
        reference = ffi.new(TYPES["grid_ref"])
        reference.size = ffi.sizeof(reference[0])
        _check(_grid_ref()(self._terminal, point[0], reference))
        return reference


class _CellReader:
    """Turns raw cells into `Cell`s. Style numbers are the page's own, so they are remembered per page only."""

    def __init__(self) -> None:
        self._by_page: dict[int, dict[int, Cell | None]] = {}
        self._codepoint, self._tag = ffi.new(TYPES["uint32"]), ffi.new(TYPES["tag"])
        self._wide, self._style_id = ffi.new(TYPES["wide"]), ffi.new(TYPES["uint16"])
        self._keys = ffi.new(
            TYPES["keys"],
            [
                lib.GHOSTTY_CELL_DATA_CODEPOINT,
                lib.GHOSTTY_CELL_DATA_CONTENT_TAG,
                lib.GHOSTTY_CELL_DATA_WIDE,
                lib.GHOSTTY_CELL_DATA_STYLE_ID,
            ],
        )
        self._values = ffi.new(TYPES["values"], [self._codepoint, self._tag, self._wide, self._style_id])
        self._style = ffi.new(TYPES["style"])
        self._style.size = ffi.sizeof(self._style[0])

    def row(self, raw: list[int], reference: Any) -> Row:
        """The cells of the row that `reference` points into; spacers of wide characters have none."""
        known = self._by_page.setdefault(int(ffi.cast(TYPES["address"].item, reference.node)), {0: BLANK})
        cells: list[Cell] = []
        for col, value in enumerate(raw):
            if value in known:
                cell = known[value]
            else:
                reference.x = col
                cell = self._cell(value, reference, known)
            if cell is not None:
                cells.append(cell)
        return trimmed(cells, _wrapped(reference))

    def _cell(self, value: int, reference: Any, known: dict[int, Cell | None]) -> Cell | None:
        _check(lib.ghostty_cell_get_multi(value, 4, self._keys, self._values, ffi.NULL))
        wide, tag = self._wide[0], self._tag[0]
        if wide == lib.GHOSTTY_CELL_WIDE_SPACER_TAIL:
            known[value] = None
            return None
        style = self._read_style(value, reference)
        width = 2 if wide == lib.GHOSTTY_CELL_WIDE_WIDE else 1
        if tag == lib.GHOSTTY_CELL_CONTENT_CODEPOINT_GRAPHEME:
            # The codepoints beyond the first lie outside the cell: two equal raw values can be different text.
            return Cell(printable(_graphemes(reference)), width, style)
        codepoint = self._codepoint[0] if tag == lib.GHOSTTY_CELL_CONTENT_CODEPOINT else 0
        cell = Cell(printable(chr(codepoint)) if codepoint else " ", width, style)
        known[value] = cell
        return cell

    def _read_style(self, value: int, reference: Any) -> Style:
        tag = self._tag[0]
        if tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_PALETTE:
            index = ffi.new(TYPES["uint8"])
            _check(lib.ghostty_cell_get(value, lib.GHOSTTY_CELL_DATA_COLOR_PALETTE, index))
            return Style(bg=index[0])
        if tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_RGB:
            rgb = ffi.new(TYPES["rgb"])
            _check(lib.ghostty_cell_get(value, lib.GHOSTTY_CELL_DATA_COLOR_RGB, rgb))
            return Style(bg=(rgb.r, rgb.g, rgb.b))
        if not self._style_id[0]:
            return PLAIN
        style = self._style
        _check(lib.ghostty_grid_ref_style(reference, style))
        return Style(
            fg=_color(style.fg_color),
            bg=_color(style.bg_color),
            bold=style.bold,
            dim=style.faint,
            italic=style.italic,
            underline=bool(style.underline),
            blink=style.blink,
            inverse=style.inverse,
            hidden=style.invisible,
            strike=style.strikethrough,
        )


def _color(color: Any) -> Color:
    if color.tag == lib.GHOSTTY_STYLE_COLOR_PALETTE:
        return int(color.value.palette)
    if color.tag == lib.GHOSTTY_STYLE_COLOR_RGB:
        rgb = color.value.rgb
        return (rgb.r, rgb.g, rgb.b)
    return None


def _graphemes(reference: Any) -> str:
    length = ffi.new(TYPES["size"])
    lib.ghostty_grid_ref_graphemes(reference, ffi.NULL, 0, length)
    codepoints = ffi.new(TYPES["codepoints"], max(1, length[0]))
    _check(lib.ghostty_grid_ref_graphemes(reference, codepoints, length[0], length))
    return "".join(map(chr, codepoints[0 : length[0]]))


def _wrapped(reference: Any) -> bool:
    row, wrapped = ffi.new(TYPES["row"]), ffi.new(TYPES["boolean"])
    _check(lib.ghostty_grid_ref_row(reference, row))
    _check(lib.ghostty_row_get(row[0], lib.GHOSTTY_ROW_DATA_WRAP, wrapped))
    return bool(wrapped[0])


def _grid_ref() -> Callable[..., int]:
    """`ghostty_terminal_grid_ref`, typed so that cffi can pass its tagged union by value."""
    signature = "GhosttyResult(*)(GhosttyTerminal, GhosttyPointS, GhosttyGridRef*)"
    function: Callable[..., int] = union_fn("ghostty_terminal_grid_ref", signature)
    return function


def _decode(state: bytes) -> Any:
    decoder, terminal = ffi.new(TYPES["decoder"]), ffi.new(TYPES["terminal"])
    _check(lib.ghostty_snapshot_decoder_new_buf(ffi.NULL, decoder, state, len(state)))
    try:
        options = (
            (lib.GHOSTTY_SNAPSHOT_DECODER_OPT_MAX_CONTINUATION_BYTES, "size", CONTINUATION_BYTES),
            (lib.GHOSTTY_SNAPSHOT_DECODER_OPT_RETAIN_CONTINUATION, "boolean", True),
        )
        for option, ctype, value in options:
            _check(lib.ghostty_snapshot_decoder_set(decoder[0], option, ffi.new(TYPES[ctype], value)))
        result = lib.ghostty_snapshot_decoder_decode(decoder[0], terminal)
    finally:
        lib.ghostty_snapshot_decoder_free(decoder[0])
    if result:
        raise SnapshotRejected(f"libghostty-vt does not read it (result {result})")
    return terminal[0]


def _check(result: int) -> None:
    """Any failure here is a wrong call of ours or no memory: nothing a stream can bring about."""
    if result:
        raise pyghostty.GhosttyError(f"libghostty-vt refused a call: {result}")
