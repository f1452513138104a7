"""Short inner loops as vector instructions: weights added to the sums, series, interpolation, comparisons.

numba leaves short inner loops over three different arrays scalar, or guards each run of them with
checks for overlapping memory that cost more than the run. This writes the vector instructions
themselves, in LLVM's portable form: every processor gets them, as one or several instructions.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "TINY",
    "add_1",
    "add_2",
    "add_4",
    "combine_8",
    "count_ones",
    "cubic_window",
    "lowest_one",
    "multiply_add",
    "quintic_window",
    "split_32",
]

TINY = 2.0**-150  # weights at or below it are zero in float32: they set no context bit


@intrinsic
def multiply_add(typingctx, a, b, c):
    """a * b + c, float64: with a single rounding where the processor has such an instruction.

    All of the last ten years have one; a pixel's bits are then the same wherever it stands in a loop,
    which is not so where the compiler itself may choose what to fuse.
    """
    if not (a == types.float64 and b == types.float64 and c == types.float64):
        return None

    def codegen(context, builder, signature, args):
        return builder.call(_fused(builder, ir.DoubleType()), args)

    return types.float64(a, b, c), codegen


def _fused(builder, kind):
    """LLVM's fmuladd for doubles or a vector of them."""
    suffix = "f64" if isinstance(kind, ir.DoubleType) else f"v{kind.count}f64"
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{suffix}"
    )


def _spread(builder, scalar, lanes):
    """A vector of so many times the same number."""
    i32 = ir.IntType(32)
    empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, scalar, ir.Constant(i32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))


def _pointer(typed, context, builder, args, which, index, vector):
    """Address of a vector from an element of the argument `which`, an array, on."""
    array = context.make_array(typed[which])(context, builder, args[which])
    return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())


def _load(builder, address, align):
    vector = builder.load(address)
    vector.align = align
    return vector


def _add(typed, context, builder, args, at, weights, factor, value, bit):
    """Build dow = weights * factor; num += dow * value; den += dow; ctx |= bit if dow > TINY."""
    lanes = weights.type.count
    doubles, words = weights.type, ir.VectorType(ir.IntType(32), lanes)

    def change(which, vector, align, change_by, by):
        address = _pointer(typed, context, builder, args, which, at, vector)
        builder.store(change_by(_load(builder, address, align), by), address).align = align

    dow = builder.fmul(weights, _spread(builder, factor, lanes))
    by_value = builder.fmul(dow, _spread(builder, value, lanes))
    change(0, doubles, 8, builder.fadd, by_value)
    change(1, doubles, 8, builder.fadd, dow)
    positive = builder.fcmp_ordered(">", dow, ir.Constant(doubles, [TINY] * lanes))
    bits = _spread(builder, bit, lanes)
    bits = builder.select(positive, bits, ir.Constant(words, [0] * lanes))
    change(2, words, 4, builder.or_, bits)
    return context.get_dummy_value()


@intrinsic
def add_1(typingctx, num, den, ctx, at, dow, value, bit):
    """Add the weight dow to the sums of the pixel `at`: see `add_4`."""
    if not (dow == types.float64 and value == types.float64 and bit == types.uint32):
        return None

    def codegen(context, builder, signature, args):
        double, word = ir.DoubleType(), ir.IntType(32)

        def change(which, kind, change_by, by):
            address = _pointer(signature.args, context, builder, args, which, args[3], kind)
            builder.store(change_by(builder.load(address), by), address)

        change(0, double, builder.fadd, builder.fmul(args[4], args[5]))
        change(1, double, builder.fadd, args[4])
        positive = builder.fcmp_ordered(">", args[4], ir.Constant(double, TINY))
        change(2, word, builder.or_, builder.select(positive, args[6], ir.Constant(word, 0)))
        return context.get_dummy_value()

    return types.void(num, den, ctx, at, dow, value, bit), codegen


@intrinsic
def add_4(typingctx, num, den, ctx, at, weights, first, factor, value, bit):
    """Add four weights from weights[first] on to the sums of four pixels from `at` on.

    For k in 0 ... 3, dow = weights[first + k] * factor; num[at + k] += dow * value; den[at + k] += dow;
    ctx[at + k] |= bit where dow > TINY. num, den are 1-D float64, weights float64, ctx 1-D uint32, all
    contiguous; at, first integers; factor, value float64; bit uint32. Nothing checks bounds. Each operation
    is rounded by itself, so that the bits are those of the same statements in a scalar loop.
    """
    if not (factor == types.float64 and value == types.float64 and bit == types.uint32):
        return None

    def codegen(context, builder, signature, args):
        doubles = ir.VectorType(ir.DoubleType(), 4)
        place = _pointer(signature.args, context, builder, args, 4, args[5], doubles)
        return _add(signature.args, context, builder, args, args[3], _load(builder, place, 8), *args[6:])

    return types.void(num, den, ctx, at, weights, first, factor, value, bit), codegen


@intrinsic
def add_2(typingctx, num, den, ctx, at, weight, next_weight, factor, value, bit):
    """Add two weights, float64, to the sums of two pixels: see `add_4`."""
    if not all(t == types.float64 for t in (weight, next_weight, factor, value)) or bit != types.uint32:
        return None

    def codegen(context, builder, signature, args):
        weights = _spread(builder, args[4], 2)
        weights = builder.insert_element(weights, args[5], ir.Constant(ir.IntType(32), 1))
        return _add(signature.args, context, builder, args, args[3], weights, *args[6:])

    return types.void(num, den, ctx, at, weight, next_weight, factor, value, bit), codegen


@intrinsic
def combine_8(typingctx, out, at, source, places, factors):
    """out[at + k] = sum over m of factors[m] * source[places[m] + k], for k in 0 ... 7.

    out and source are 1-D float64, contiguous, and may be the same array; places and factors tuples of
    as many integers and float64. Nothing checks bounds. The last product comes first; each of the others
    is added as by `multiply_add`.
    """
    if not (isinstance(places, types.UniTuple) and isinstance(factors, types.UniTuple)):
        return None
    if places.count != factors.count or factors.dtype != types.float64:
        return None

    def codegen(context, builder, signature, args):
        doubles = ir.VectorType(ir.DoubleType(), 8)

        def pointer(which, index):
            return _pointer(signature.args, context, builder, args, which, index, doubles)

        total = None
        for m in reversed(range(places.count)):
            term = _load(builder, pointer(2, builder.extract_value(args[3], m)), 8)
            factor = _spread(builder, builder.extract_value(args[4], m), 8)
            if total is None:
                total = builder.fmul(term, factor)
            else:
                total = builder.call(_fused(builder, doubles), [term, factor, total])
        builder.store(total, pointer(0, args[1])).align = 8
        return context.get_dummy_value()

    return types.void(out, at, source, places, factors), codegen


@intrinsic
def lowest_one(typingctx, word):
    """Place of the lowest bit that is set in a uint64, which must not be 0."""
    if word != types.uint64:
        return None

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(word), codegen


@intrinsic
def count_ones(typingctx, word):
    """Bits that are set in a uint64."""
    if word != types.uint64:
        return None

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(word), codegen


@intrinsic
def split_32(typingctx, values, at, limits, centre, sums):
    """Tell the core among 32 values from those to be put aside, and sum it up.

    `values` is 1-D float32, contiguous; limits are low, high, core_low, core_high, a, b, all float32. The
    core is [core_low, core_high]. In sums, 1-D float32, contiguous, ``v - centre`` of value k in the core is
    added to sums[k], and its square to sums[32 + k]. Returns three uint64: bits of the values within
    [low, high] but outside the core, and of those within [a, b]; bits of the core; bits of those of the core
    that are below a. A NaN is none of these. Nothing checks bounds.
    """
    if limits != types.UniTuple(types.float32, 6) or centre != types.float32:
        return None

    def codegen(context, builder, signature, args):
        lanes = 32
        real = ir.FloatType()
        vector = ir.VectorType(real, lanes)
        v = _load(builder, _pointer(signature.args, context, builder, args, 0, args[1], vector), 4)
        low, high, core_low, core_high, a, b = (
            _spread(builder, builder.extract_value(args[2], k), lanes) for k in range(6)
        )

        def within(first, last):
            return builder.and_(builder.fcmp_ordered(">=", v, first), builder.fcmp_ordered("<=", v, last))

        core = within(core_low, core_high)
        aside = builder.or_(builder.and_(within(low, high), builder.not_(core)), within(a, b))
        below = builder.and_(core, builder.fcmp_ordered("<", v, a))
        from_centre = builder.fsub(v, _spread(builder, args[3], lanes))
        from_centre = builder.select(core, from_centre, ir.Constant(vector, [0.0] * lanes))
        for first, term in ((0, from_centre), (lanes, builder.fmul(from_centre, from_centre))):
            index = ir.Constant(ir.IntType(64), first)
            address = _pointer(signature.args, context, builder, args, 4, index, vector)
            builder.store(builder.fadd(_load(builder, address, 4), term), address).align = 4
        words = (
            builder.zext(builder.bitcast(bits, ir.IntType(lanes)), ir.IntType(64))
            for bits in (aside, core, below)
        )
        return context.make_tuple(builder, signature.return_type, list(words))

    return types.UniTuple(types.uint64, 3)(values, at, limits, centre, sums), codegen


def _window(side, lanes):
    """Interpolation in a window of side x side pixels by the polynomial through each row and column."""
    nodes = np.arange(1 - side // 2, side // 2 + 1.0)
    # Weights of the samples are powers[0] + powers[1] s + ...: over (side - 1)!, whole numbers.
    whole = float(math.factorial(side - 1))
    powers = np.rint(whole * np.linalg.inv(np.vander(nodes, increasing=True))) / whole
    powers = np.pad(powers, ((0, 0), (0, lanes - side)))

    @intrinsic
    def window(typingctx, source, at, stride, s, t):
        if not (s == types.float64 and t == types.float64 and source.dtype == types.float32):
            return None

        def codegen(context, builder, signature, args):
            i32, i64 = ir.IntType(32), ir.IntType(64)
            doubles = ir.VectorType(ir.DoubleType(), lanes)
            fused = _fused(builder, doubles)

            def load(address, count):
                kind = ir.VectorType(ir.FloatType(), count)
                vector = builder.load(builder.bitcast(address, kind.as_pointer()))
                vector.align = 4
                return vector

            def shuffle(a, b, places):
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(i32, len(places)), places))

            def weights(offset):
                offset = _spread(builder, offset, lanes)
                total = ir.Constant(doubles, list(powers[-1]))
                for row in powers[-2::-1]:
                    total = builder.call(fused, [total, offset, ir.Constant(doubles, list(row))])
                return total

            array = context.make_array(signature.args[0])(context, builder, args[0])
            wx, wy = weights(args[3]), weights(args[4])
            total = ir.Constant(doubles, [0.0] * lanes)
            for row in range(side):
                first = builder.add(args[1], builder.mul(args[2], ir.Constant(i64, row)))
                pixels = load(builder.gep(array.data, [first]), 4)
                if side > 4:
                    two = load(builder.gep(array.data, [builder.add(first, ir.Constant(i64, 4))]), side - 4)
                    two = shuffle(two, ir.Constant(two.type, [0.0] * (side - 4)), [0, 1, 2, 3])
                    pixels = shuffle(pixels, two, list(range(lanes)))
                total = builder.call(
                    fused, [builder.fpext(pixels, doubles), shuffle(wy, wy, [row] * lanes), total]
                )
            total = builder.fmul(total, wx)  # lanes beyond the window are zero
            count = lanes
            while count > 1:
                count //= 2
                low, high = list(range(count)), list(range(count, 2 * count))
                total = builder.fadd(shuffle(total, total, low), shuffle(total, total, high))
            return builder.extract_element(total, ir.Constant(i32, 0))

        return types.float64(source, types.int64, types.int64, s, t), codegen

    return window


# window(source, at, stride, s, t): value at (s, t) beyond the second (of 4) or third (of 6) pixel of the
# second or third row. source is 1-D float32, contiguous; at its index of the window's first pixel, stride
# that between rows, integers; s, t float64. Nothing checks bounds, nothing outside the window is read.
cubic_window = _window(4, 4)
quintic_window = _window(6, 8)
