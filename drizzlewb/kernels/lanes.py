"""Short inner loops as vector instructions: a run of weights added to the sums; a window of 6 x 6 pixels.

numba leaves short inner loops over three different arrays scalar, or guards each run of them with
checks for overlapping memory that cost more than the run. This writes the vector instructions
themselves, in LLVM's portable form: every processor gets them, as one or several instructions.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["TINY", "add_4", "add_8", "quintic_window"]

TINY = 2.0**-150  # weights at or below it are zero in float32: they set no context bit


def _lanes(typed, context, builder, args, lanes):
    """Build dow = weights[first:] * factor; num += dow * value; den += dow; ctx |= bit if dow > TINY."""
    doubles = ir.VectorType(ir.DoubleType(), lanes)
    words = ir.VectorType(ir.IntType(32), lanes)

    def pointer(which, index, vector):
        array = context.make_array(typed[which])(context, builder, args[which])
        return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

    def load(address, align):
        vector = builder.load(address)
        vector.align = align
        return vector

    def store(vector, address, align):
        builder.store(vector, address).align = align

    def spread(scalar, vector):
        spread_out = ir.Constant(vector, ir.Undefined)
        for k in range(lanes):
            spread_out = builder.insert_element(spread_out, scalar, ir.Constant(ir.IntType(32), k))
        return spread_out

    at, first, factor, value, bit = args[3], args[5], args[6], args[7], args[8]
    dow = builder.fmul(load(pointer(4, first, doubles), 8), spread(factor, doubles))
    address = pointer(0, at, doubles)
    store(builder.fadd(load(address, 8), builder.fmul(dow, spread(value, doubles))), address, 8)
    address = pointer(1, at, doubles)
    store(builder.fadd(load(address, 8), dow), address, 8)
    positive = builder.fcmp_ordered(">", dow, ir.Constant(doubles, [TINY] * lanes))
    bits = builder.select(positive, spread(bit, words), ir.Constant(words, [0] * lanes))
    address = pointer(2, at, words)
    store(builder.or_(load(address, 4), bits), address, 4)
    return context.get_dummy_value()


def _adder(lanes):
    @intrinsic
    def add(typingctx, num, den, ctx, at, weights, first, factor, value, bit):
        if not (factor == types.float64 and value == types.float64 and bit == types.uint32):
            return None
        signature = types.void(num, den, ctx, at, weights, first, factor, value, bit)

        def codegen(context, builder, signature, args):
            return _lanes(signature.args, context, builder, args, lanes)

        return signature, codegen

    return add


# add(num, den, ctx, at, weights, first, factor, value, bit): for k in 0 ... 3 or 0 ... 7,
# dow = weights[first + k] * factor; num[at + k] += dow * value; den[at + k] += dow;
# ctx[at + k] |= bit where dow > TINY. num, den, weights are 1-D float64, ctx 1-D uint32, contiguous;
# at, first integers; factor, value float64; bit uint32. Nothing checks bounds. Each operation is
# rounded by itself, so that the bits are those of the same statements in a scalar loop.
add_4 = _adder(4)
add_8 = _adder(8)


# Weights of the samples at -2 ... 3 are _QUINTIC[5] s^5 + ... + _QUINTIC[0]: in 120ths, whole numbers.
_QUINTIC = np.rint(120.0 * np.linalg.inv(np.vander(np.arange(-2.0, 4.0), increasing=True))) / 120.0


@intrinsic
def quintic_window(typingctx, source, at, stride, s, t):
    """Quintic interpolation (s, t) beyond the third pixel of the third row of a window of 6 x 6 pixels.

    source is 1-D float32, contiguous; at its index of the window's first pixel, stride that between
    rows, integers; s, t float64. Nothing checks bounds, and nothing outside the window is read.
    """
    if not (s == types.float64 and t == types.float64 and source.dtype == types.float32):
        return None

    def codegen(context, builder, signature, args):
        i32, i64 = ir.IntType(32), ir.IntType(64)
        doubles = ir.VectorType(ir.DoubleType(), 8)

        def load(address, lanes):
            vector = builder.load(builder.bitcast(address, ir.VectorType(ir.FloatType(), lanes).as_pointer()))
            vector.align = 4
            return vector

        def shuffle(a, b, lanes):
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(i32, len(lanes)), lanes))

        def spread(scalar):
            one = builder.insert_element(ir.Constant(doubles, ir.Undefined), scalar, ir.Constant(i32, 0))
            return shuffle(one, one, [0] * 8)

        def weights(offset):
            powers = spread(offset)
            total = ir.Constant(doubles, [*_QUINTIC[5], 0.0, 0.0])
            for m in range(4, -1, -1):
                term = ir.Constant(doubles, [*_QUINTIC[m], 0.0, 0.0])
                total = builder.fadd(builder.fmul(total, powers), term)
            return total

        array = context.make_array(signature.args[0])(context, builder, args[0])
        wx, wy = weights(args[3]), weights(args[4])
        total = None
        for row in range(6):
            first = builder.add(args[1], builder.mul(args[2], ir.Constant(i64, row)))
            four = load(builder.gep(array.data, [first]), 4)
            two = load(builder.gep(array.data, [builder.add(first, ir.Constant(i64, 4))]), 2)
            two = shuffle(two, ir.Constant(two.type, [0.0, 0.0]), [0, 1, 2, 3])
            pixels = builder.fpext(shuffle(four, two, list(range(8))), doubles)
            term = builder.fmul(pixels, shuffle(wy, wy, [row] * 8))
            total = term if total is None else builder.fadd(total, term)
        total = builder.fmul(total, wx)
        # lanes 6 and 7 are zero
        half = builder.fadd(shuffle(total, total, [0, 1, 2, 3]), shuffle(total, total, [4, 5, 6, 7]))
        pair = builder.fadd(shuffle(half, half, [0, 1]), shuffle(half, half, [2, 3]))
        a = builder.extract_element(pair, ir.Constant(i32, 0))
        return builder.fadd(a, builder.extract_element(pair, ir.Constant(i32, 1)))

    return types.float64(source, types.int64, types.int64, s, t), codegen
