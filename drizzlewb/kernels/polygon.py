"""Areas that quadrilaterals share with the pixels of a window, for eight of them side by side.

The area of a polygon left of the line X and below the line Y is the integral of min(x, X) dy along its
boundary below Y: per edge ``dy * min(X, x_hi) - g u^2`` with ``u = clip(X - x_lo, 0, x_hi - x_lo)`` and
``g = dy/dx / 2``. Differences between lines give pixels. There is no branch, so that one vector
instruction serves several drops, and each value depends on its own drop only.

Written in LLVM's vectors (see `drizzlewb.kernels.lanes`): as plain loops numba leaves most of it scalar.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from drizzlewb.kernels.jit import inner

__all__ = [
    "AREA", "CORNER_X", "CORNER_Y", "LANES", "NOTHING", "ROOM", "VALUE", "WEIGHT", "WINDOW", "put_drop",
    "windows",
]  # fmt: skip

LANES = 8
ROOM = 72  # drops in a scratch, side by side; no power of two, for the cache
# Rows of the scratch, each ROOM wide: the corners' x and y relative to the window, four rows each, in
# order around the drop; signed area (its inverse after `windows`); weight; value; per edge dx/dy and half
# of |dy/dx| with the sign of dy; for the part of the drop below a line of pixels each edge's lowest and
# highest x, and its extent in y with the sign; zeros; and the windows, row by row.
CORNER_X, CORNER_Y, AREA, WEIGHT, VALUE = 0, 4, 8, 9, 10
_SLOPE, _HALF, _LOW, _HIGH, _RISE, NOTHING, WINDOW = 11, 15, 19, 23, 27, 31, 32
# An overlap below this fraction of its drop is the rounding error of a pixel that is not touched.
SLIVER = 1e-11
_LEVEL = 1e-60  # px²: an edge with a smaller dx dy is upright or level

_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_INDEX = ir.IntType(64)


class _Rows:
    """Builds code on a scratch: vectors of its rows, `at` being the index of that of row 0."""

    def __init__(self, context, builder, typed, scratch, at):
        self.builder = builder
        self.data = builder.gep(context.make_array(typed)(context, builder, scratch).data, [at])

    def _address(self, row):
        if isinstance(row, int):
            row = ir.Constant(_INDEX, row)
        pitch = ir.Constant(_INDEX, ROOM)
        address = self.builder.gep(self.data, [self.builder.mul(row, pitch)])
        return self.builder.bitcast(address, _DOUBLES.as_pointer())

    def load(self, row):
        vector = self.builder.load(self._address(row))
        vector.align = 8
        return vector

    def store(self, row, vector):
        self.builder.store(vector, self._address(row)).align = 8

    def number(self, value):
        return ir.Constant(_DOUBLES, [value] * LANES)

    def spread(self, scalar):
        i32 = ir.IntType(32)
        one = self.builder.insert_element(ir.Constant(_DOUBLES, ir.Undefined), scalar, ir.Constant(i32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, LANES), [0] * LANES))

    def least(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def most(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def magnitude(self, a):
        return self.most(a, self.builder.fneg(a))

    def fused(self, a, b, c):
        name = f"llvm.fmuladd.v{LANES}f64"
        kind = ir.FunctionType(_DOUBLES, [_DOUBLES] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def edge(self, e):
        """Rows of x and y of both ends of an edge."""
        f = (e + 1) % 4
        return (
            self.load(CORNER_X + e),
            self.load(CORNER_Y + e),
            self.load(CORNER_X + f),
            self.load(CORNER_Y + f),
        )


def _step(build, scratch, at, *more):
    """Signature and code of an intrinsic: `build` writes it for a `_Rows` and further arguments."""

    def codegen(context, builder, signature, args):
        build(_Rows(context, builder, signature.args[0], args[0], args[1]), *args[2:])
        return context.get_dummy_value()

    return types.void(scratch, at, *more), codegen


@intrinsic
def put_drop(typingctx, scratch, at, x0, y0, x, y, area, weight, value):
    """Put a drop into the column of a scratch whose row 0 is element `at`, in its memory.

    x, y are tuples of four corners, x0, y0 the window's lower left corner; all are float64 but `at`.
    """
    if x != types.UniTuple(types.float64, 4) or y != x or weight != types.float64 or value != types.float64:
        return None

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        numbers = [(AREA, args[6]), (WEIGHT, args[7]), (VALUE, args[8])]
        for first, edge, corners in ((CORNER_X, args[2], args[4]), (CORNER_Y, args[3], args[5])):
            for k in range(4):
                numbers.append((first + k, builder.fsub(builder.extract_value(corners, k), edge)))
        for row, number in numbers:
            place = builder.add(args[1], ir.Constant(_INDEX, row * ROOM))
            builder.store(number, builder.gep(data, [place]))
        return context.get_dummy_value()

    return types.void(scratch, at, x0, y0, x, y, area, weight, value), codegen


@intrinsic
def _edges(typingctx, scratch, at):
    """Slopes of the edges, and the inverse of the area in its place."""

    def build(rows):
        b = rows.builder
        differences, products, plain = [], [], []
        for e in range(4):
            xa, ya, xb, yb = rows.edge(e)
            dx, dy = b.fsub(xb, xa), b.fsub(yb, ya)
            product = b.fmul(dx, dy)
            slanted = b.fcmp_ordered(">", rows.magnitude(product), rows.number(_LEVEL))
            differences.append((dx, dy))
            plain.append(slanted)
            products.append(b.select(slanted, product, rows.number(1.0)))
        # One division for all four inverses: it takes as long as a dozen products.
        p01, p23 = b.fmul(products[0], products[1]), b.fmul(products[2], products[3])
        all_four = b.fdiv(rows.number(1.0), b.fmul(p01, p23))
        i01, i23 = b.fmul(all_four, p23), b.fmul(all_four, p01)
        inverses = [b.fmul(i01, products[1]), b.fmul(i01, products[0])]
        inverses += [b.fmul(i23, products[3]), b.fmul(i23, products[2])]
        for e, (dx, dy) in enumerate(differences):
            inverse = b.select(plain[e], inverses[e], rows.number(0.0))
            rows.store(_SLOPE + e, b.fmul(b.fmul(dx, dx), inverse))
            half = b.fmul(b.fmul(b.fmul(dy, dy), rows.number(0.5)), rows.magnitude(inverse))
            up = b.fcmp_ordered(">", dy, rows.number(0.0))
            rows.store(_HALF + e, b.select(up, half, b.fneg(half)))
        rows.store(AREA, b.fdiv(rows.number(1.0), rows.load(AREA)))

    return _step(build, scratch, at)


@intrinsic
def _cut(typingctx, scratch, at, line):
    """Extents of the edges' parts below the line."""

    def build(rows, line):
        b = rows.builder
        line = rows.spread(line)
        for e in range(4):
            xa, ya, xb, yb = rows.edge(e)
            slope = rows.load(_SLOPE + e)
            low_a, low_b = rows.least(ya, line), rows.least(yb, line)
            xa = rows.fused(b.fsub(low_a, ya), slope, xa)
            xb = rows.fused(b.fsub(low_b, yb), slope, xb)
            rows.store(_LOW + e, rows.least(xa, xb))
            rows.store(_HIGH + e, rows.most(xa, xb))
            rows.store(_RISE + e, b.fsub(low_b, low_a))

    return _step(build, scratch, at, line)


@intrinsic
def _whole(typingctx, scratch, at):
    """Extents of the whole edges."""

    def build(rows):
        for e in range(4):
            xa, ya, xb, yb = rows.edge(e)
            rows.store(_LOW + e, rows.least(xa, xb))
            rows.store(_HIGH + e, rows.most(xa, xb))
            rows.store(_RISE + e, rows.builder.fsub(yb, ya))

    return _step(build, scratch, at)


@intrinsic
def _left(typingctx, scratch, at, line, out):
    """Fraction of the drop, below the last line, that lies left of the line; to row `out`."""

    def build(rows, line, out):
        b = rows.builder
        line = rows.spread(line)
        area = rows.number(0.0)
        for e in range(4):
            low, high = rows.load(_LOW + e), rows.load(_HIGH + e)
            u = rows.least(rows.most(b.fsub(line, low), rows.number(0.0)), b.fsub(high, low))
            area = rows.fused(rows.load(_RISE + e), rows.least(line, high), area)
            area = rows.fused(b.fneg(b.fmul(rows.load(_HALF + e), u)), u, area)
        rows.store(out, b.fmul(area, rows.load(AREA)))

    return _step(build, scratch, at, line, out)


@intrinsic
def _below(typingctx, scratch, at, out):
    """Fraction of the drop below the last line; to row `out`."""

    def build(rows, out):
        area = rows.number(0.0)
        for e in range(4):
            middle = rows.builder.fadd(rows.load(_LOW + e), rows.load(_HIGH + e))
            area = rows.fused(rows.load(_RISE + e), middle, area)
        rows.store(out, rows.builder.fmul(rows.builder.fmul(area, rows.number(0.5)), rows.load(AREA)))

    return _step(build, scratch, at, out)


@intrinsic
def _all(typingctx, scratch, at, out):
    """The whole drop lies left of and below these lines."""

    def build(rows, out):
        rows.store(out, rows.number(1.0))

    return _step(build, scratch, at, out)


@intrinsic
def _pixel(typingctx, scratch, at, out, left, below, corner):
    """Weight of a pixel from what lies left of and below its four lines, `out` being its upper right one."""

    def build(rows, out, left, below, corner):
        b = rows.builder
        strip = b.fsub(rows.load(out), rows.load(left))
        part = b.fsub(strip, b.fsub(rows.load(below), rows.load(corner)))
        touched = b.fcmp_ordered(">", part, rows.number(SLIVER))
        rows.store(out, b.select(touched, b.fmul(part, rows.load(WEIGHT)), rows.number(0.0)))

    return _step(build, scratch, at, out, left, below, corner)


@inner
def windows(scratch, first, m, rows, cols):
    """Weights of the first m drops of a scratch in windows of rows x cols output pixels, in place.

    Parameters
    ----------
    scratch : (>= first + WINDOW + rows * cols, ROOM) float64
        Rows as told above, of which the row `NOTHING` must hold zeros. Columns up to the next multiple of
        `LANES` are worked on, whatever they hold.
    first : int
        Where these rows begin.
    m : int
    rows, cols : int
        The windows hold their drops; the same drop in a larger window may differ in its last bits.
    """
    for k in range(0, m, LANES):
        at = first * ROOM + k
        _edges(scratch, at)
        for r in range(rows):
            out = WINDOW + r * cols
            if r < rows - 1:
                _cut(scratch, at, r + 1.0)
            else:
                _whole(scratch, at)
            for c in range(cols - 1):
                _left(scratch, at, c + 1.0, out + c)
            # Nothing lies beyond the last line in x, nor beyond that in y.
            if r < rows - 1:
                _below(scratch, at, out + cols - 1)
            else:
                _all(scratch, at, out + cols - 1)
        for r in range(rows - 1, -1, -1):
            for c in range(cols - 1, -1, -1):
                out = WINDOW + r * cols + c
                left = out - 1 if c > 0 else NOTHING
                below = out - cols if r > 0 else NOTHING
                corner = below - 1 if r > 0 and c > 0 else NOTHING
                _pixel(scratch, at, out, left, below, corner)
